"""The topology's names and properties, which are part of the product's contract."""

from trempy_provider.broker.topology import Route, Topology, topology_of


def test_topology_is_the_contract() -> None:
    assert topology_of("shop") == Topology(
        main=Route(
            exchange="trempy_exchange_shop",
            routing_key="trempy_routing_key_shop",
            queue="trempy_queue_shop",
            arguments={
                "x-queue-type": "quorum",
                "x-dead-letter-exchange": "trempy_dlx_exchange_shop",
                "x-dead-letter-routing-key": "dlx.shop",
                "x-delivery-limit": 3,
                "x-single-active-consumer": True,
            },
        ),
        dead_letters=Route(
            exchange="trempy_dlx_exchange_shop",
            routing_key="dlx.shop",
            queue="dlx_queue_shop",
            arguments={"x-queue-type": "quorum"},
        ),
    )


def test_dead_letter_exchange_is_declared_before_the_queue_that_names_it() -> None:
    topology = topology_of("shop")

    assert topology.routes == (topology.dead_letters, topology.main)
