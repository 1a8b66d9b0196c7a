"""A cable that is slow and loses frames, for kernels without netem.

    lossy.py LEFT RIGHT DELAY_MS LOSS_PERCENT SEED

Carries Ethernet frames between two interfaces, in both directions, until its standard input ends.
Prints "ready" when it does.
"""

import collections
import random
import select
import socket
import sys
import time

SOL_PACKET, PACKET_VNET_HDR = 263, 15  # <linux/if_packet.h>
ETH_P_ALL = 3
FRAME_MAX = 1 << 17
QUEUED_MAX = 4096


def interface(name):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    # Offloaded checksums and segments stay offloaded: the header that says so comes along.
    sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    sock.bind((name, 0))
    sock.setblocking(False)
    return sock


def main():
    left, right = interface(sys.argv[1]), interface(sys.argv[2])
    delay, loss = float(sys.argv[3]) / 1000, float(sys.argv[4]) / 100
    chance = random.Random(int(sys.argv[5]))
    under_way = collections.deque()
    print("ready", flush=True)
    while True:
        wait = max(0, under_way[0][0] - time.monotonic()) if under_way else None
        readable, _, _ = select.select([left, right, sys.stdin], [], [], wait)
        if sys.stdin in readable and not sys.stdin.readline():
            return
        now = time.monotonic()
        for sock in readable:
            if sock is sys.stdin:
                continue
            frame, (_, _, kind, *_) = sock.recvfrom(FRAME_MAX)
            is_lost = chance.random() < loss or len(under_way) >= QUEUED_MAX
            if kind != socket.PACKET_OUTGOING and not is_lost:
                under_way.append((now + delay, right if sock is left else left, frame))
        while under_way and under_way[0][0] <= now:
            _, sock, frame = under_way.popleft()
            try:
                sock.send(frame)
            except OSError:
                pass  # A cable may lose frames.


main()
