-- About 700,000 rows, the same in every run but for the dates, which are relative to today.

select setseed(0.42);

insert into warehouse.categories (parent_id, name, path)
select nullif((n - 1) / 8, 0), names.name || ' ' || n, array['Shop', names.name, n::text]
from generate_series(1, 120) as n,
     lateral (select (array['Tea', 'Möbel', 'Livres', 'Игрушки', '家電', 'Piñatas', 'Käse', 'Sport 🏸'])[1 + n % 8] as name) as names;

insert into warehouse.products
    (product_id, sku, category_id, name, description, attributes, tags, price, weight_kg, dimensions_cm,
     thumbnail, sold_during, is_active, updated_at)
select md5('product ' || n)::uuid,
       chr(65 + n % 26) || chr(65 + n / 26 % 26) || 'X-' || lpad(n::text, 6, '0'),
       1 + n % 120,
       (array['Oolong', 'Stuhl „Zürich“', 'L’Étranger', 'Матрёшка', '炊飯器', 'Ñandú', 'Gruyère', 'Racket 🎾'])[1 + n % 8]
           || ' ' || (array['classic', 'XL', 'mini', 'déluxe', 'ΩMEGA'])[1 + n % 5] || ' №' || n,
       case when n % 20 = 0 then repeat(md5(n::text) || ' – Größe & Gewicht; ', 120 + n % 100)
            when n % 3 = 0 then 'Plain words about product ' || n
            when n % 7 = 0 then '' end,
       jsonb_build_object('colour', (array['red', 'grün', '青'])[1 + n % 3], 'rating', round((random() * 5)::numeric, 2),
                          'sizes', jsonb_build_array(n % 40, null, 'ü'), 'nested', jsonb_build_object('deep', n % 2 = 0)),
       (array['{}', '{new}', '{"50% off","a,b"}', '{"",NULL,"quo\"te"}'])[1 + n % 4]::text[],
       round((1 + random() * 400)::numeric, 2),
       case when n % 11 = 0 then null else (random() * 30)::real end,
       case when n % 5 = 0 then null else array[round((random() * 99)::numeric, 1), 0.0, n % 300] end,
       case when n % 4 = 0 then decode(repeat(md5(n::text), 1 + n % 12), 'hex') end,
       tstzrange(now() - n % 900 * interval '1 day', case when n % 6 = 0 then 'infinity' else now() + interval '1 year' end),
       n % 17 <> 0,
       now() - random() * interval '300 days'
from generate_series(1, 10000) as n;

insert into warehouse.inventory (product_id, site, quantity, shelf, counted_on, restock_time)
select md5('product ' || n)::uuid, site, 200 + (random() * 2000)::int, case when n % 9 > 0 then 'R' || n % 40 || '/' || n % 7 end,
       current_date - n % 90, case when n % 3 = 0 then make_time(n % 24, n % 60, random() * 59) end
from generate_series(1, 10000) as n, unnest(array['BER', 'LIS', 'OSL']) as site;

insert into sales.customers
    (public_id, email, full_name, tier, preferences, phone_numbers, born_on, signup_ip, accepts_mail,
     credit_limit, notes, average_visit, created_at, updated_at)
select md5('customer ' || n)::uuid,
       'customer' || n || '@example.' || (array['com', 'org', 'de'])[1 + n % 3],
       (array['Zoë', 'Łukasz', 'Ngọc', 'Ayşe', 'Øyvind', '秀英', 'Ольга', 'José', 'Seán', 'משה'])[1 + n % 10] || ' '
           || (array['Nuñez', 'O’Brien', 'Müller', 'Żak', 'Đặng', '李', 'Smith'])[1 + n / 10 % 7],
       (array['none', 'none', 'bronze', 'silver', 'gold'])[1 + n % 5]::sales.loyalty_tier,
       case when n % 4 > 0 then jsonb_build_object('lang', (array['de', 'fr', 'ja'])[1 + n % 3], 'mail', n % 2 = 0,
                                                   'sizes', jsonb_build_array(n % 50, n % 7)) end,
       case when n % 3 > 0 then array['+49 30 ' || n, '+81-' || n % 1000] end,
       case when n % 8 > 0 then date '1935-01-01' + (random() * 25000)::int end,
       ('10.' || n % 250 || '.' || n / 250 % 250 || '.7' || case when n % 5 = 0 then '/24' else '' end)::inet,
       case n % 3 when 0 then true when 1 then false end,
       case when n % 100 = 0 then 'NaN' when n % 2 = 0 then round((random() * 5000)::numeric, 3) end,
       case when n % 50 = 0 then repeat('Called about order ' || n || ' – „very polite“. ', 150)
            when n % 10 = 0 then E'two\nlines\tand a \\ backslash' end,
       random() * interval '40 minutes',
       now() - random() * interval '1000 days',
       now() - random() * interval '30 days'
from generate_series(1, 50000) as n;

insert into sales.addresses (customer_id, kind, lines, postal_code, city, country, location, valid_during)
select 1 + n % 50000, case when n > 50000 then 'invoice' else 'delivery' end,
       array['Straße ' || n % 400, case when n % 6 = 0 then 'c/o “' || n || '”' end],
       lpad((n % 99999)::text, 5, '0'),
       (array['Zürich', 'São Paulo', 'Kraków', '京都', 'Göteborg', 'Lisboa'])[1 + n % 6],
       (array['CH', 'BR', 'PL', 'JP', 'SE', 'PT'])[1 + n % 6],
       case when n % 7 > 0 then point(random() * 180 - 90, random() * 360 - 180) end,
       daterange(current_date - n % 2000, case when n % 4 = 0 then current_date + n % 300 end)
from generate_series(1, 60000) as n;

insert into sales.orders (order_id, placed_at, customer_id, status, currency, total, delivery_window, client_ip, cart)
select n, now() - (100000 - n) * interval '150 seconds', 1 + (random() * 49999)::int,
       (array['placed', 'paid', 'packed', 'shipped', 'delivered', 'delivered', 'delivered', 'cancelled'])[1 + n % 8]::sales.order_status,
       (array['EUR', 'EUR', 'CHF', 'SEK'])[1 + n % 4],
       round((random() * 900)::numeric, 2),
       case when n % 3 = 0 then tstzrange(now() - (100000 - n) * interval '150 seconds' + interval '1 day',
                                          now() - (100000 - n) * interval '150 seconds' + interval '3 days', '[]') end,
       ('2001:db8::' || to_hex(n % 65536))::inet,
       case when n % 5 = 0 then jsonb_build_object('coupon', 'SAVE' || n % 20, 'items', n % 6) end
from generate_series(1, 100000) as n;

insert into sales.order_lines (order_id, line_number, placed_at, product_id, quantity, unit_price, discount, gift_message)
select n, line, now() - (100000 - n) * interval '150 seconds', md5('product ' || 1 + (n * 7 + line * 131) % 10000)::uuid,
       1 + n % 4, round((1 + random() * 200)::numeric, 2), case when n % 4 = 0 then random() else 0 end,
       case when n % 25 = 0 then 'Happy birthday! 🎂 ' || n end
from generate_series(1, 100000) as n, generate_series(1, 1 + n % 3) as line;

insert into sales.payments (payment_id, order_id, placed_at, method, amount, fee, is_captured, receipt, paid_at)
select md5('payment ' || n)::uuid, n, now() - (100000 - n) * interval '150 seconds',
       (array['card', 'card', 'transfer', 'invoice', 'gift card'])[1 + n % 5]::sales.payment_method,
       round((random() * 900)::numeric, 2), case when n % 3 = 0 then random()::numeric end, n % 9 > 0,
       case when n % 6 = 0 then decode(md5(n::text), 'hex') end,
       case when n % 9 > 0 then now() - (100000 - n) * interval '150 seconds' + random() * interval '1 hour' end
from generate_series(1, 100000) as n where n % 8 > 0;

insert into warehouse.shipments (order_id, carrier, tracking_code, gross_kg, route, shipped_at, delivered_on, transit, gateway)
select n, (array['DHL', 'La Poste', 'Yamato 運輸'])[1 + n % 3], 'T' || upper(md5(n::text)), random() * 25,
       array['BER', (array['CDG', 'ARN', 'KIX'])[1 + n % 3]], now() - (100000 - n) * interval '150 seconds' + interval '20 hours',
       case when n % 8 > 3 then current_date - (100000 - n) / 576 + 3 end, random() * interval '5 days',
       ('08:00:2b:01:02:' || lpad(to_hex(n % 256), 2, '0'))::macaddr
from generate_series(1, 100000) as n where n % 8 between 3 and 6;

insert into sales.page_views (viewed_at, visitor, customer_id, url, referrer, client, user_agent, stayed, is_bot)
select now() - n * interval '20 seconds', md5('visitor ' || n % 9000)::uuid, case when n % 3 = 0 then 1 + n % 50000 end,
       '/product/' || n % 10000 || case when n % 4 = 0 then '?q=thé%20vert' else '' end,
       case when n % 2 = 0 then 'https://search.example/?n=' || n % 100 end,
       ('10.0.' || n % 256 || '.1')::inet, (array['Firefox', 'Chrome', 'curl/8'])[1 + n % 3],
       n % 400 * interval '1 second', n % 3 = 2
from generate_series(1, 120000) as n, generate_series(1, 1 + (n % 50 = 0)::int);

insert into sales.audit_log (logged_at, actor, action, details)
select now() - n * interval '5 minutes', 'clerk ' || n % 12, (array['login', 'price', 'refund'])[1 + n % 3],
       jsonb_build_object('n', n, 'comment', 'naïve ✓')
from generate_series(1, 30000) as n;
