'use strict'

// Policies: for hanging receivers, lost parts of streams, messages above a peer's limit, and
// messages emitted before stop().

const assert = require('node:assert/strict')
const { createHash, randomBytes } = require('node:crypto')
const { once } = require('node:events')
const { Writable, pipeline } = require('node:stream')
const { test } = require('node:test')
const { promisify } = require('node:util')
const { startNode, startPair } = require('../support/nodes')
const { Lan, unavailable } = require('../support/namespaces')
const { RemoteNode } = require('../support/process')
const { event, poll } = require('../support/wait')

const execFile = promisify(require('node:child_process').execFile)
const WORKER = require.resolve('./worker')
const MIB = 1 << 20

/** A node in its own process, which enters through `seed`. */
async function startRemote(t, options = {}, slow = undefined, launchOptions = {}) {
  const { limits, ...rest } = options
  const node = new RemoteNode(
    'ours',
    { address: '127.0.0.1', ...rest },
    {
      program: WORKER,
      ...launchOptions,
    },
  )
  t.after(() => node.kill())
  await node.ready()
  const { id, port } = await node.command('start', { options: node.options, slow, limits })
  return Object.assign(node, { id, port })
}

const seedOf = (node) => [{ address: '127.0.0.1', port: node.options.port }]

test('a hanging receiver delays others only briefly, is named, and learns its losses', async (t) => {
  const sender = await startNode(t, { slowReceiverTimeout: 500 })
  const options = { seeds: seedOf(sender), slowReceiverTimeout: 500 }
  const added = event(sender.peers, 'add')
  const hung = await startRemote(t, options, { kind: 'handler', ms: 2000 })
  await added
  const pad = 'x'.repeat(64 * 1024)
  let sent = 0
  let waits = 0
  const slow = event(sender, 'slow receiver', 20_000)
  // More than its limit: 24 MiB from one sender.
  while (sent < (64 * MIB) / pad.length) {
    const hasRoom = sender.broadcast.emit('n', 1, sent++, pad)
    if (hasRoom) continue
    waits++
    await once(sender.broadcast, 'drain')
  }
  assert.deepEqual(await slow, [{ id: hung.id }])
  assert.ok(waits > 0)
  // Its handler returns at last. The messages heard and those reported as lost add up to all.
  const counts = async () => {
    const [heard = { count: 0 }] = Object.values(await hung.command('heard', {}, 30_000))
    const { lost } = await hung.command('told', {}, 30_000)
    return lost > 0 && [heard.count, lost]
  }
  const [, lost] = await poll(counts, 40_000, 'it learns its losses')
  assert.equal((await hung.command('stats', {}, 30_000)).lost, lost)
})

test('a receiver that works on the messages of others first is not called slow', async (t) => {
  const options = { slowReceiverTimeout: 600, minPeerNo: 2 }
  const busy = await startNode(t, options)
  const late = await startNode(t, { ...options, seeds: seedOf(busy) })
  const receiver = await startRemote(
    t,
    { ...options, seeds: [...seedOf(busy), ...seedOf(late)] },
    { kind: 'handler', ms: 10 },
  )
  const isIn = () => [busy, late].every((node) => node.peers.list.length === 2)
  await poll(isIn, 10_000, 'each is a peer of both others')
  const slow = []
  for (const node of [busy, late]) node.on('slow receiver', ({ id }) => slow.push(id))
  const count = 300
  for (let number = 0; number < count; number++) busy.broadcast.emit('n', 1, number, '')
  const begun = async () => (await receiver.command('heard'))[1]?.count > 0
  await poll(begun, 10_000, 'it works on the first messages')
  // Both wait for three seconds, five times as long as a receiver may hang.
  late.broadcast.emit('n', 2, 0, '')
  late.peers.list.find(({ id }) => id === receiver.id).emit('n', 3, 0, '')
  const all = async () => {
    const heard = await receiver.command('heard')
    return heard[1].count === count && heard[2]?.count === 1 && heard[3]?.count === 1
  }
  await poll(all, 20_000, 'it has handled everything')
  assert.deepEqual(slow, [])
})

test('with slowReceivers: "drop" a sender waits for no receiver', async (t) => {
  const sender = await startNode(t, { slowReceivers: 'drop' })
  const added = event(sender.peers, 'add')
  await startRemote(t, { seeds: seedOf(sender) }, { kind: 'handler', ms: 8000 })
  await added
  const pad = 'x'.repeat(64 * 1024)
  // Three windows; the link takes all of it.
  let drains = 0
  for (let number = 0; number < (24 * MIB) / pad.length; number++) {
    if (sender.broadcast.emit('n', 1, number, pad)) continue
    drains++
    await event(sender.broadcast, 'drain')
  }
  assert.equal(sender.stats().slowReceivers, 0)
  t.diagnostic(`${drains} waits for the link`)
})

test('a pipe through a relay into a slow writable loses nothing', async (t) => {
  const sender = await startNode(t, { minPeerNo: 1 })
  const relay = await startNode(t, { minPeerNo: 1, seeds: seedOf(sender) })
  const reader = await startNode(t, { minPeerNo: 1, maxPeerNo: 1, seeds: seedOf(relay) })
  await poll(() => reader.connected && relay.peers.list.length === 2, 10_000, 'all are in')
  const total = Number(process.env.PIPE_MIB ?? 40) * MIB
  const [sent, got] = [createHash('sha256'), createHash('sha256')]
  let received = 0
  let finish
  const finished = new Promise((resolve) => {
    finish = resolve
  })
  const slow = new Writable({
    highWaterMark: 1,
    write(chunk, _encoding, done) {
      got.update(chunk)
      received += chunk.length
      if (received >= total) finish()
      setImmediate(() => setTimeout(done, 1))
    },
  })
  reader.broadcast.pipe(slow)
  const piece = randomBytes(64 * 1024)
  async function* source() {
    for (let left = total; left > 0; left -= piece.length) {
      piece.writeUInt32BE(left, 0)
      const chunk = Buffer.from(piece)
      sent.update(chunk)
      yield chunk
    }
  }
  pipeline(source(), sender.broadcast.stream, () => {})
  await finished
  assert.equal(got.digest('hex'), sent.digest('hex'))
})

test('a pipeline whose reader has stopped fails with the number of lost bytes', async (t) => {
  const { a, b } = await startPair(t, { slowReceiverTimeout: 300 })
  const stuck = new Writable({ highWaterMark: 1, write() {} })
  const failed = new Promise((resolve) => pipeline(b.broadcast.stream, stuck, resolve))
  const chunk = Buffer.alloc(MIB)
  let isOver = false
  const write = () => {
    if (!isOver) a.broadcast.write(chunk, write)
  }
  write()
  const error = await failed
  isOver = true
  assert.equal(error.code, 'ERR_SMOKE_LOST')
  assert.ok(error.bytes > 0)
})

test('a broadcast too large for a peer is reported at both ends and breaks no link', async (t) => {
  const large = await startNode(t, { maxMessageSize: 8 * MIB })
  const added = event(large.peers, 'add')
  const small = await startNode(t, { seeds: seedOf(large) })
  const [toSmall] = await added
  const heard = []
  small.broadcast.on('n', (number) => heard.push(number))
  const told = event(large, 'oversized')
  const skipped = event(small, 'skipped')
  large.broadcast.emit('n', 1)
  large.broadcast.emit('n', 'x'.repeat(5 * MIB))
  large.broadcast.emit('n', 2)
  const [{ id, size, limit }] = await told
  assert.deepEqual([id, size > 5 * MIB, limit], [small.id, true, 4 * MIB])
  assert.deepEqual(await skipped, [{ id: large.id, count: 1 }])
  await poll(() => heard.length === 2, 5000, 'the next message arrives')
  assert.deepEqual(heard, [1, 2])
  assert.throws(() => toSmall.emit('n', 'x'.repeat(5 * MIB)), { code: 'ERR_SMOKE_TOO_LARGE' })
  assert.deepEqual([large.connected, small.connected], [true, true])
})

test('stop hands over earlier messages, even over a slow link', {
  skip: unavailable() ?? false,
}, async (t) => {
  const lan = await Lan.create(['10.9.1.1', '10.9.1.2'])
  t.after(() => lan.destroy())
  const [near, far] = lan.hosts
  const shape = ['root', 'tbf', 'rate', '4mbit', 'burst', '16kb', 'latency', '400ms']
  await execFile('tc', ['-n', near.namespace, 'qdisc', 'add', 'dev', 'eth0', ...shape])
  const one = { minPeerNo: 1 }
  const { namespace } = near
  const sender = await startRemote(t, { ...one, address: near.address }, undefined, { namespace })
  const seeds = [{ address: near.address, port: sender.port }]
  const receiver = await startRemote(t, { ...one, address: far.address, seeds }, undefined, {
    namespace: far.namespace,
  })
  await receiver.until(() => receiver.peers.length > 0, 10_000, 'they are peers')
  const count = 64
  await sender.command('produce', { mode: 'emit', size: 64 * 1024, count, sender: 1 }, 30_000)
  await sender.command('stop', {}, 40_000)
  const heard = async () => (await receiver.command('heard'))[1]?.count === count
  await poll(heard, 5000, 'all 4 MiB have arrived')
})
