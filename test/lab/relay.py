"""
A network in user space, for what the kernel has no discipline for: packets between machines take their time, and may overtake each other.

    relay.py SEED DELAY_MS JITTER_MS NAME=ADDRESS ...

Makes one TUN device of each NAME, in the network namespace in which it runs, and then says `ready`; whoever started it moves the devices to
their machines and routes through them. An IPv4 packet that a machine sends into its device comes out of the device of its destination after
DELAY_MS and up to JITTER_MS more, drawn for each packet: with jitter, packets overtake each other. Ends with its standard input, and the devices
with it. Python's standard library is enough.
"""

import errno
import fcntl
import heapq
import os
import random
import select
import socket
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
LONGEST_PACKET_BYTES = 65_535
# Packets on their way at most; what comes beyond is lost, as in a router.
QUEUE_LIMIT = 20_000
# Offset of the destination in an IPv4 header.
DESTINATION = slice(16, 20)


def open_device(name):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


def read_all(device, due, on_their_way, devices):
    """Takes in what waits in a device; `due` says when a packet is to come out."""
    while True:
        try:
            packet = os.read(device, LONGEST_PACKET_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in (errno.EIO, errno.EBADFD):  # not up yet, or being moved
                return
            raise
        target = devices.get(packet[DESTINATION])
        if target is not None and packet[0] >> 4 == 4 and len(on_their_way) < QUEUE_LIMIT:
            heapq.heappush(on_their_way, (*due(), target, packet))


def write(device, packet):
    try:
        os.write(device, packet)
    except OSError as error:  # a device that is down, or full: the packet is lost
        if error.errno not in (errno.EIO, errno.EAGAIN, errno.ENOBUFS, errno.EINVAL, errno.EBADFD):
            raise


def main():
    seed, delay_ms, jitter_ms = (float(word) for word in sys.argv[1:4])
    machines = [word.split("=") for word in sys.argv[4:]]
    devices = {socket.inet_aton(address): open_device(name) for name, address in machines}
    print("ready", flush=True)

    chance = random.Random(seed)
    sequence = 0

    def due():
        nonlocal sequence
        sequence += 1
        return time.monotonic() + (delay_ms + chance.random() * jitter_ms) / 1_000, sequence

    on_their_way = []
    poll = select.poll()
    for device in devices.values():
        poll.register(device, select.POLLIN)
    poll.register(sys.stdin.fileno(), select.POLLIN | select.POLLHUP)
    while True:
        wait_ms = None if not on_their_way else max(0, (on_their_way[0][0] - time.monotonic()) * 1_000)
        for ready, events in poll.poll(wait_ms):
            if ready == sys.stdin.fileno():
                return
            if events & select.POLLIN:
                read_all(ready, due, on_their_way, devices)
            else:
                time.sleep(0.001)  # a device that is being moved says so again and again
        now = time.monotonic()
        while on_their_way and on_their_way[0][0] <= now:
            _, _, target, packet = heapq.heappop(on_their_way)
            write(target, packet)


main()
