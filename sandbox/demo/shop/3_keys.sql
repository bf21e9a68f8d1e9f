-- Foreign keys, secondary indexes, sequences and statistics, after the rows.

alter table warehouse.products add foreign key (category_id) references warehouse.categories;
alter table warehouse.products add constraint products_sku unique (sku);
alter table warehouse.inventory add foreign key (product_id) references warehouse.products;
alter table sales.customers add constraint customers_email unique (email);
alter table sales.addresses add foreign key (customer_id) references sales.customers on delete cascade;
alter table sales.orders add foreign key (customer_id) references sales.customers;
alter table sales.order_lines add foreign key (order_id, placed_at) references sales.orders on update cascade on delete cascade;
alter table sales.order_lines add foreign key (product_id) references warehouse.products;
alter table sales.payments add foreign key (order_id, placed_at) references sales.orders on update cascade on delete cascade;

create index on sales.addresses (customer_id);
create index on sales.payments (order_id);
create index on warehouse.shipments (order_id);
create index on sales.page_views (viewed_at) where is_bot;

select setval(pg_get_serial_sequence('sales.orders', 'order_id'), (select max(order_id) from sales.orders));

analyze warehouse.categories, warehouse.products, warehouse.inventory, warehouse.shipments,
        sales.customers, sales.addresses, sales.orders, sales.order_lines, sales.payments, sales.page_views, sales.audit_log;
