"""What the shop's people and programs do: one function per kind of transaction.

Each runs its statements on a cursor and leaves commit and rollback to its caller.
Rows that several transactions want are locked in the order of their keys, so that deadlocks stay rare.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

SITES = ("BER", "LIS", "OSL")
TIERS = ("none", "bronze", "silver", "gold")
NAMES = ("Zoë", "Łukasz", "Ngọc", "Ayşe", "秀英", "Ольга", "Seán", "משה", "Grace 🚀")


class PaymentDeclinedError(Exception):
    """The order is given up and its transaction rolled back."""


@dataclass(slots=True)
class Shopper:
    """One connection's cursor, its own random numbers, and what it knows of the shop."""

    cursor: Any
    random: random.Random
    product_ids: Sequence[str]
    changed_rows: int = 0

    def change(self, statement: str, *parameters: object) -> int:
        """Run a statement that changes rows, and count them."""
        self.cursor.execute(statement, parameters)
        self.changed_rows += self.cursor.rowcount
        return int(self.cursor.rowcount)

    def read(self, query: str, *parameters: object) -> Any:
        """Return the first row of a query, or None."""
        self.cursor.execute(query, parameters)
        return self.cursor.fetchone()

    def add(self, statement: str, *parameters: object) -> Any:
        """Run an `insert … returning` and return its row."""
        self.change(statement, *parameters)
        return self.cursor.fetchone()

    def random_customer_id(self) -> int:
        """Pick one of the customers the shop began with."""
        return self.random.randint(1, 50_000)

    def random_order(self) -> tuple[int, datetime] | None:
        """Pick an order, old ones and new ones alike, and lock it; None when it is gone or busy."""
        (newest,) = self.read("select last_value from sales.orders_order_id_seq")
        row: tuple[int, datetime] | None = self.read(
            "select order_id, placed_at from sales.orders where order_id = %s for update skip locked",
            self.random.randint(1, newest),
        )
        return row

    def random_product_ids(self, count: int) -> list[str]:
        """Pick different products, in the order in which their rows are locked."""
        return sorted(self.random.sample(self.product_ids, count))


def place_order(shopper: Shopper) -> None:
    """Insert an order with its lines and payment, take the stock, and total it."""
    products = shopper.random_product_ids(shopper.random.randint(1, 4))
    order_id, placed_at = shopper.add(
        "insert into sales.orders (placed_at, customer_id, delivery_window, client_ip, cart) values"
        " (clock_timestamp(), %s, tstzrange(now() + '1 day', now() + '3 days'), '192.0.2.9', %s)"
        " returning order_id, placed_at",
        shopper.random_customer_id(),
        '{"coupon": "Frühling"}' if shopper.random.random() < 0.2 else None,
    )
    for number, product_id in enumerate(products, start=1):
        _add_line(shopper, order_id, placed_at, number, product_id)
    (total,) = shopper.read("select sum(amount) from sales.order_lines where order_id = %s", order_id)
    shopper.change(
        "update sales.orders set total = %s, status = 'paid' where order_id = %s and placed_at = %s",
        total, order_id, placed_at,
    )  # fmt: skip
    _pay(shopper, order_id, placed_at, total)


def _add_line(shopper: Shopper, order_id: int, placed_at: datetime, number: int, product_id: str) -> None:
    quantity = shopper.random.randint(1, 3)
    shopper.change(
        "insert into sales.order_lines"
        " (order_id, line_number, placed_at, product_id, quantity, unit_price, gift_message)"
        " select %s, %s, %s, product_id, %s, price, %s from warehouse.products where product_id = %s",
        order_id, number, placed_at, quantity, "Bon appétit 🍰" if number == 3 else None, product_id,
    )  # fmt: skip
    shopper.change(
        "update warehouse.inventory set quantity = greatest(quantity - %s, 0)"
        " where product_id = %s and site = %s",
        quantity, product_id, SITES[number % 3],
    )  # fmt: skip


def _pay(shopper: Shopper, order_id: int, placed_at: datetime, total: object) -> None:
    """Pay by card, after a first card that was refused now and then; some give the whole order up."""
    statement = (
        "insert into sales.payments (order_id, placed_at, method, amount, fee, is_captured, receipt, paid_at)"
        " values (%s, %s, %s, %s, random()::numeric, true, decode(md5(random()::text), 'hex'), now())"
    )
    if shopper.random.random() < 0.1:
        changed_rows = shopper.changed_rows
        shopper.cursor.execute("savepoint first_card")
        shopper.change(statement, order_id, placed_at, "card", total)
        shopper.cursor.execute("rollback to savepoint first_card")
        shopper.changed_rows = changed_rows
    if shopper.random.random() < 0.05:
        raise PaymentDeclinedError
    method = shopper.random.choice(("card", "gift card", "transfer"))
    shopper.change(statement, order_id, placed_at, method, total)


def advance_order(shopper: Shopper) -> None:
    """Move an order to its next status; a shipped one gets a shipment, a delivered one its date."""
    order = shopper.random_order()
    if order is None:
        return
    (status,) = shopper.add(
        "update sales.orders set status = case status when 'placed' then 'paid' when 'paid' then 'packed'"
        " when 'packed' then 'shipped' else 'delivered' end::sales.order_status"
        " where order_id = %s and placed_at = %s returning status::text",
        *order,
    )
    if status == "shipped":
        shopper.change(
            "insert into warehouse.shipments"
            " (order_id, carrier, tracking_code, gross_kg, route, shipped_at, transit) values"
            " (%s, 'La Poste', md5(random()::text), random() * 20, '{BER,CDG}', now(), '2 days 3 hours')",
            order[0],
        )
    if status == "delivered":
        shopper.change(
            "update warehouse.shipments set delivered_on = current_date where order_id = %s", order[0]
        )


def cancel_order(shopper: Shopper) -> None:
    """Delete an order; its lines and payments go with it."""
    order = shopper.random_order()
    if order is None:
        return
    shopper.change("delete from warehouse.shipments where order_id = %s", order[0])
    shopper.change("delete from sales.payments where order_id = %s", order[0])
    shopper.change("delete from sales.order_lines where order_id = %s", order[0])
    shopper.change("delete from sales.orders where order_id = %s and placed_at = %s", *order)


def move_order(shopper: Shopper) -> None:
    """Correct an order's date by a month or so: the row moves to another partition."""
    order = shopper.random_order()
    if order is not None:
        shopper.change(
            "update sales.orders set placed_at = placed_at - %s * interval '1 day'"
            " where order_id = %s and placed_at = %s",
            shopper.random.randint(20, 50), *order,
        )  # fmt: skip


def edit_customer(shopper: Shopper) -> None:
    """Change small columns of a customer: long notes stay as they are and are not sent."""
    shopper.change(
        "update sales.customers set"
        " tier = %s::sales.loyalty_tier, accepts_mail = not accepts_mail, updated_at = now(),"
        " preferences = coalesce(preferences, '{}') || jsonb_build_object('seen', %s::int), credit_limit = %s"
        " where customer_id = %s",
        shopper.random.choice(TIERS),
        shopper.random.randint(1, 99),
        shopper.random.choice((None, "1234.500", "NaN")),
        shopper.random_customer_id(),
    )


def register_customer(shopper: Shopper) -> None:
    """Insert a customer with an address."""
    (customer_id,) = shopper.add(
        "insert into sales.customers (email, full_name, preferences, phone_numbers, notes)"
        " values (gen_random_uuid() || '@example.org', %s, '{}', '{}', %s) returning customer_id",
        shopper.random.choice(NAMES),
        shopper.random.choice((None, "", "schätzt Tee\n" * 400)),
    )
    shopper.change(
        "insert into sales.addresses (customer_id, lines, city, country, location)"
        " values (%s, '{\"Rua A, 1\",NULL}', 'Lisboa', 'PT', '(38.7,-9.1)')",
        customer_id,
    )


def edit_product(shopper: Shopper) -> None:
    """Change a price, which does not send the kilobytes of description; rewrite these every tenth time."""
    (product_id,) = shopper.random_product_ids(1)
    shopper.change(
        "update warehouse.products set price = round(price * 1.01, 2), updated_at = now()"
        " where product_id = %s",
        product_id,
    )
    if shopper.random.random() < 0.1:
        shopper.change(
            "update warehouse.products set description = repeat(md5(random()::text) || ' – neu; ', 200),"
            " attributes = attributes || '{\"rewritten\": true}' where product_id = %s",
            product_id,
        )


def reprice_category(shopper: Shopper) -> None:
    """Change every price of a category in one transaction."""
    shopper.change(
        "with locked as"
        " (select product_id from warehouse.products where category_id = %s order by product_id for update)"
        " update warehouse.products set price = greatest(price - 0.01, 0.5) from locked"
        " where products.product_id = locked.product_id",
        shopper.random.randint(1, 120),
    )


def restock(shopper: Shopper) -> None:
    """Count some shelves anew."""
    for product_id in shopper.random_product_ids(shopper.random.randint(3, 12)):
        shopper.change(
            "update warehouse.inventory set"
            " quantity = quantity + 50, counted_on = current_date, restock_time = localtime"
            " where product_id = %s and site = %s",
            product_id,
            SITES[0],
        )


def move_stock(shopper: Shopper) -> None:
    """Change the key of an inventory row to a site of its own and back to the old one."""
    (product_id,) = shopper.random_product_ids(1)
    moved = shopper.change(
        "update warehouse.inventory set site = 'TMP' where product_id = %s and site = 'OSL'", product_id
    )
    if not moved:
        shopper.change(
            "update warehouse.inventory set site = 'OSL' where product_id = %s and site = 'TMP'", product_id
        )


def view_pages(shopper: Shopper) -> None:
    """Insert page views that are the same in every column; forget a few bots now and then."""
    count = shopper.random.randint(1, 5)
    shopper.change(
        "insert into sales.page_views (viewed_at, visitor, url, client, user_agent, stayed, is_bot)"
        " select now(), md5(%s)::uuid, '/product/' || %s, '198.51.100.7', 'Firefox', '3.5 seconds', %s"
        " from generate_series(1, %s)",
        str(shopper.random.randint(1, 9000)),
        shopper.random.randint(1, 10_000),
        shopper.random.random() < 0.3,
        count,
    )
    if shopper.random.random() < 0.01:
        _forget_bots(shopper)


def _forget_bots(shopper: Shopper) -> None:
    """Update and delete rows of the table without a key, among them one of several identical rows.

    This is rare on purpose: without a key, each such row is searched for in the whole target table.
    """
    chosen = (
        " where ctid = any (array(select ctid from sales.page_views where is_bot"
        " order by viewed_at {} limit {} for update skip locked))"
    )
    shopper.change(
        "update sales.page_views set stayed = stayed + interval '1 second'" + chosen.format("desc", 1)
    )
    shopper.change("delete from sales.page_views" + chosen.format("asc", 2))


def write_audit_log(shopper: Shopper) -> None:
    """Insert into the log that nobody ever changes."""
    shopper.change(
        "insert into sales.audit_log (action, details) values ('login', jsonb_build_object('n', %s::int))",
        shopper.random.randint(1, 1_000_000),
    )


WEIGHTS: dict[Callable[[Shopper], None], float] = {
    place_order: 26,
    view_pages: 18,
    advance_order: 15,
    edit_customer: 12,
    edit_product: 8,
    restock: 7,
    register_customer: 4,
    write_audit_log: 5,
    cancel_order: 2,
    move_order: 1.5,
    move_stock: 1.3,
    reprice_category: 0.2,
}
