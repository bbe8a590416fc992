"""A TCP proxy that can be told to misbehave: it stands between the workers and each broker.

Each link listens on a port that its broker advertises, and forwards to the broker's own.
Its state may be changed at any moment, for connections that are open and those to come:

    pass    bytes flow, after delay_s
    cut     connections are closed, and new ones too: the network answers, the broker does not
    hang    connections stay open and nothing flows: half-open, as behind a dead router
"""
import asyncio
import contextlib
import threading

CHUNK = 65536


class Link:
    """The way to one broker.  Runs on: the proxy's loop."""

    def __init__(self, listen_port, broker_port):
        self.listen_port, self.broker_port = listen_port, broker_port
        self.delay_s = 0.0
        self.is_cut = False
        self.flows = asyncio.Event()
        self.flows.set()
        self.writers = set()

    async def serve(self):
        await asyncio.start_server(self.accept, "127.0.0.1", self.listen_port)

    async def accept(self, reader, writer):
        if self.is_cut:
            writer.close()
            return
        self.writers.add(writer)
        try:
            await self.flows.wait()
            up_reader, up_writer = await asyncio.open_connection(
                "127.0.0.1", self.broker_port)
        except OSError:
            self.drop(writer)
            return
        self.writers.add(up_writer)
        await asyncio.gather(self.pump(reader, up_writer), self.pump(up_reader, writer))
        self.drop(writer)
        self.drop(up_writer)

    async def pump(self, reader, writer):
        with contextlib.suppress(OSError, RuntimeError):
            while data := await reader.read(CHUNK):
                if self.delay_s > 0:
                    await asyncio.sleep(self.delay_s)
                await self.flows.wait()
                writer.write(data)
                await writer.drain()
        writer.close()

    def drop(self, writer):
        self.writers.discard(writer)
        writer.close()

    def cut(self):
        self.is_cut = True
        for writer in list(self.writers):
            writer.transport.abort()

    def restore(self):
        self.is_cut = False
        self.delay_s = 0.0
        self.flows.set()


class Proxy:
    """Links by broker number; the methods may be called from any thread."""

    def __init__(self, ports):
        """ports: {broker: (listen_port, broker_port)}"""
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.links = self.call(self.start, ports)

    async def start(self, ports):
        links = {broker: Link(*pair) for broker, pair in ports.items()}
        for link in links.values():
            await link.serve()
        return links

    def call(self, function, *args):
        return asyncio.run_coroutine_threadsafe(function(*args), self.loop).result(10)

    def change(self, broker, what):
        async def now():
            what(self.links[broker])
        self.call(now)

    def cut(self, broker):
        self.change(broker, Link.cut)

    def hang(self, broker):
        self.change(broker, lambda link: link.flows.clear())

    def slow(self, broker, delay_s):
        self.change(broker, lambda link: setattr(link, "delay_s", delay_s))

    def restore(self, broker):
        self.change(broker, Link.restore)
