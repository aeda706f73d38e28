"""The Python library eventsourcing at work: orders as lines of JSON, answers on descriptor 3."""

import itertools
import json
import os
import sys
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlparse
from uuid import NAMESPACE_URL, uuid4, uuid5

from eventsourcing.application import Application
from eventsourcing.dcb.api import DCBAppendCondition, DCBEvent, DCBQuery, DCBQueryItem
from eventsourcing.dcb.persistence import DCBInfrastructureFactory
from eventsourcing.domain import Aggregate
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.utils import Environment

# As in orders.ts.
STREAM_COUNT = 300


class Order(Aggregate):
    """Counts and sums, as the aggregates of the other contenders do."""

    def __init__(self):
        self.count = 1
        self.total = 0.0

    @dataclass(frozen=True)
    class OrderPlaced(Aggregate.Event):
        data: dict
        metadata: dict

        def apply(self, aggregate):
            aggregate.count += 1
            aggregate.total += self.data["total"]


class Orders(Application):
    pass


class Pass(Projection[PostgresTrackingRecorder]):
    """Does nothing but remember where it is."""

    name = "pass"

    def process_event(self, domain_event, tracking):
        self.view.insert_tracking(tracking)


def with_callers(callers, calls, call):
    """Callers that each call one after another; the first error ends them all."""
    if callers == 1:
        for _ in range(calls):
            call()
        return
    left = itertools.count()
    errors = []

    def caller():
        while not errors and next(left) < calls:
            try:
                call()
            except BaseException as error:
                errors.append(error)

    threads = [threading.Thread(target=caller) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


class Peer:
    def __init__(self, url, events, connections):
        self.events = events
        self.next_event = itertools.count()
        self.next_stream = itertools.count()
        self.versions: dict[Any, int] = {}
        self.lock = threading.Lock()
        self.seen: dict[str, int] = {}
        self.dcb = None
        if url.startswith("postgres"):
            at = urlparse(url)
            self.env = {
                "PERSISTENCE_MODULE": "eventsourcing.postgres",
                "POSTGRES_DBNAME": at.path[1:],
                "POSTGRES_HOST": at.hostname,
                "POSTGRES_PORT": str(at.port),
                "POSTGRES_USER": at.username,
                "POSTGRES_PASSWORD": at.password or "none",
                # As many as it has callers, up to a bound: its own default is five and ten more.
                "POSTGRES_POOL_SIZE": str(connections),
            }
        else:
            self.env = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": url}
        self.app = Orders(self.env)

    def take(self, count):
        size = len(self.events)
        return [self.events[next(self.next_event) % size] for _ in range(count)]

    def append(self, name, events):
        """Encodes and inserts by its event store; versions are known, as to who has loaded."""
        stream = uuid5(NAMESPACE_URL, name)
        with self.lock:
            version = self.versions.get(stream, 0)
            made = []
            if version == 0:
                version = 1
                topic = f"{Order.__module__}:{Order.__qualname__}"
                first = Order.Created(
                    originator_topic=topic,
                    originator_id=stream,
                    originator_version=version,
                    timestamp=Aggregate.Event.create_timestamp(),
                )
                made.append(first)
                events = events[1:]
            for each in events:
                version += 1
                placed = Order.OrderPlaced(
                    originator_id=stream,
                    originator_version=version,
                    timestamp=Aggregate.Event.create_timestamp(),
                    data=each["data"],
                    metadata=each["metadata"],
                )
                made.append(placed)
            self.versions[stream] = version
        self.app.events.put(made)

    def do_fill(self, order):
        if order["perStream"] > 0:
            for i in range(order["streams"]):
                self.append(f"order-{i}", self.take(order["perStream"]))
        for count in order["loads"]:
            for done in range(0, count, 1000):
                self.append(f"load-{count}", self.take(min(1000, count - done)))
        return 0

    def do_append(self, order):
        def call():
            hot = order["hot"]
            name = "order-hot" if hot else f"order-{next(self.next_stream) % STREAM_COUNT}"
            self.append(name, self.take(order["size"]))

        with_callers(order["callers"], order["calls"], call)
        return order["calls"]

    def do_load(self, order):
        stream = uuid5(NAMESPACE_URL, f"load-{order['count']}")
        for _ in range(order["calls"]):
            count = self.app.repository.get(stream).count
            if count != order["count"]:
                raise ValueError(f"{count} events instead of {order['count']}")
        return order["calls"]

    def do_scan(self, order):
        for _ in range(order["calls"]):
            count = start = 0
            while True:
                page = self.app.recorder.select_notifications(start + 1, 1000)
                count += len([self.app.mapper.to_domain_event(each) for each in page])
                if len(page) < 1000:
                    break
                start = page[-1].id
            if count != order["count"]:
                raise ValueError(f"{count} events instead of {order['count']}")
        return order["calls"]

    def do_consume(self, order):
        for _ in range(order["calls"]):
            # A tracking table of its own for each run, so that each begins at the beginning.
            Pass.name = f"pass_{uuid4().hex[:12]}"
            runner = ProjectionRunner(
                application_class=Orders,
                projection_class=Pass,
                view_class=PostgresTrackingRecorder,
                env=self.env,
            )
            with runner:
                runner.wait(self.app.recorder.max_notification_id(), timeout=600)
        return order["calls"]

    def do_condition(self, order):
        if self.dcb is None:
            env = {**self.env, "PERSISTENCE_MODULE": "eventsourcing.dcb.postgres_tt"}
            factory = DCBInfrastructureFactory.construct(Environment("bench", env))
            self.dcb = factory.dcb_recorder()

        def call():
            # Each caller is at a course of its own, so that no condition fails.
            tags = [f"course:{next(self.next_stream) % 1000}"]
            [each] = self.take(1)
            data = json.dumps([each["data"], each["metadata"]]).encode()
            query = DCBQuery(items=[DCBQueryItem(types=["OrderPlaced"], tags=tags)])
            condition = DCBAppendCondition(query, after=self.seen.get(tags[0], 0))
            placed = DCBEvent(type="OrderPlaced", data=data, tags=tags)
            self.seen[tags[0]] = self.dcb.append([placed], condition)

        with_callers(order["callers"], order["calls"], call)
        return order["calls"]

    def do_settings(self, _order):
        datastore = self.app.recorder.datastore
        names = ["journal_mode", "synchronous"]
        prefix = "PRAGMA"
        if "POSTGRES_DBNAME" in self.env:
            names, prefix = ["fsync", "synchronous_commit"], "SHOW"
        said = []
        with datastore.transaction(commit=False) as cursor:
            for name in names:
                cursor.execute(f"{prefix} {name}")
                row = cursor.fetchone()
                said.append(f"{name} {row[name]}")
        return ", ".join(said)


def main():
    answers = os.fdopen(3, "w", buffering=1)
    peer = None
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if order["do"] == "open":
                peer = Peer(order["url"], order["events"], order["connections"])
                ok = 0
            else:
                ok = getattr(peer, f"do_{order['do']}")(order)
            answers.write(json.dumps({"ok": ok}) + "\n")
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
            answers.write(json.dumps({"error": text}) + "\n")
    if peer is not None:
        peer.app.close()
    os._exit(0)


if __name__ == "__main__":
    main()
