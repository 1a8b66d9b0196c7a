'use strict'

// Two nodes that dial each other at the same moment end with exactly one link, and it works.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const net = require('node:net')
const { describe, test } = require('node:test')
const legacy = require('smokesignal-legacy')
const { startOwn } = require('../support/nodes')
const { freePort } = require('../support/ports')
const { pause, poll } = require('../support/wait')

const TRIALS = 100

/** A small generator of our own, so that a failing run can be repeated: SEED=<n>. */
function random(seed) {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

/** smokesignal@0.2.2 in this process. Its stop() throws when it has peers: the pieces are stopped. */
async function startLegacy(t) {
  const log = []
  const remember = (...args) => log.push(args.map(String).join(' '))
  const node = legacy.createNode({
    address: '127.0.0.1',
    port: await freePort(),
    minPeerNo: 1,
    logger: { error: remember, fatal: remember },
  })
  node.log = log
  node.seen = { chunks: [] }
  node.broadcast.on('data', (chunk) => node.seen.chunks.push(chunk.toString('utf8')))
  t.after(() => {
    node.server.close()
    clearInterval(node.interval)
    for (const peer of [...node.peers.list]) peer.close()
  })
  node.start()
  await poll(() => node.listening, 5000, 'the legacy node listens', 2)
  return node
}

const dials = (from, to) => {
  const dialled = from.addPeer('127.0.0.1', to.options.port)
  // The dial that loses may be told so; which one that is is not for the caller to know.
  dialled?.catch?.(() => {})
}

async function trial(a, b, skew, number) {
  const both = [a, b]
  a.seen.chunks.length = 0
  b.seen.chunks.length = 0
  dials(a, b)
  if (Math.abs(skew) >= 0.5) await pause(Math.abs(skew))
  dials(b, a)
  await poll(
    () => both.every((node) => node.peers.list.length === 1),
    8000,
    `one link (${number})`,
    2,
  )
  const text = `trial ${number};`
  a.broadcast.write(`a ${text}`)
  b.broadcast.write(`b ${text}`)
  await poll(
    () => both.every((node) => node.seen.chunks.length > 0),
    3000,
    `it works (${number})`,
    2,
  )
  await pause(20)
  const outcome = both.map((node) => [node.peers.list.length, node.seen.chunks.join('')])
  assert.deepEqual(outcome, [
    [1, `b ${text}`],
    [1, `a ${text}`],
  ])
  both[number % 2].peers.list[0].close()
  await poll(
    () => both.every((node) => node.peers.list.length === 0),
    5000,
    `closed (${number})`,
    2,
  )
}

describe('simultaneous dials', { concurrency: true }, () => {
  const seed = Number(process.env.SEED) || Date.now() & 0xffff
  const pairs = {
    'of two of ours': (t) => Promise.all([startOwn(t), startOwn(t)]),
    'of ours and a legacy node': (t) => Promise.all([startOwn(t), startLegacy(t)]),
  }
  for (const [which, start] of Object.entries(pairs)) {
    test(`${which}: one working link, ${TRIALS} times of ${TRIALS}`, async (t) => {
      t.diagnostic(`SEED=${seed}`)
      const next = random(seed)
      const [a, b] = await start(t)
      for (let number = 0; number < TRIALS; number++) {
        const skew = next() < 0.5 ? 0 : next() * 4
        const [first, second] = next() < 0.5 ? [a, b] : [b, a]
        await trial(first, second, skew, number)
      }
      assert.deepEqual(b.log ?? [], [], 'what the legacy node logged as an error')
    })
  }
})

/** A port that leads to `target`. What comes back waits for the promise that `hold` returns. */
async function delayed(t, target, hold) {
  const sockets = []
  const server = net.createServer((near) => {
    const far = net.connect(target.options.port, '127.0.0.1')
    sockets.push(near, far)
    for (const socket of [near, far]) socket.on('error', () => {})
    near.on('data', (chunk) => far.write(chunk))
    near.on('close', async () => {
      await pause(PASSAGE)
      far.destroy()
    })
    far.on('data', async (chunk) => {
      await hold()
      near.write(chunk)
    })
    far.on('close', () => near.destroy())
  })
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return server.address().port
}

/** How long what comes back, and the end of a connection, is on its way, in ms. */
const PASSAGE = 30

test('a legacy node that reads our ack late ends with the link of our dial', async (t) => {
  const [ours, old] = [await startOwn(t), await startLegacy(t)]
  const accepted = once(old.peers, 'add')
  const early = await delayed(t, ours, () => accepted)
  const late = await delayed(t, old, () => pause(PASSAGE))
  const added = once(ours.peers, 'add')
  old.addPeer('127.0.0.1', early)
  await added
  // The old node has not read our ack yet: it takes our dial for its first link to us.
  const peer = await ours.addPeer('127.0.0.1', late)
  await pause(4 * PASSAGE)
  assert.deepEqual([ours.peers.list, old.peers.dump()], [[peer], [ours.id]])
  ours.broadcast.write('from ours')
  old.broadcast.write('from the old node')
  const isHeard = () => ours.seen.chunks.length > 0 && old.seen.chunks.length > 0
  await poll(isHeard, 3000, 'each hears the other')
  assert.deepEqual(ours.seen.chunks, ['from the old node'])
  assert.deepEqual(old.seen.chunks, ['from ours'])
})
