'use strict'

const assert = require('node:assert/strict')
const { randomBytes } = require('node:crypto')
const net = require('node:net')
const { test } = require('node:test')
const { createNode } = require('../..')
const fs = require('node:fs')
const { NativePeer, frames } = require('../support/native-wire')
const { startNode } = require('../support/nodes')
const { event, poll, quiet } = require('../support/wait')
const { dial } = require('../support/wire')
const { Capture, cannotCapture } = require('./capture')
const { Relay } = require('./relay')

const secret = randomBytes(32)
const other = randomBytes(32)
const MAGIC = Buffer.from('SMKS\x01', 'latin1')

/** Sends bytes to a node and waits until it closes; resolves to what it answered. */
async function exchange(port, bytes) {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const answer = []
  socket.on('data', (chunk) => answer.push(chunk))
  socket.on('error', () => {})
  socket.on('end', () => socket.end())
  socket.write(bytes)
  await event(socket, 'close')
  return Buffer.concat(answer)
}

/** Fails the test if the node ever gets a peer. */
function expectNoPeers(node) {
  const added = []
  node.peers.on('add', (peer) => added.push(peer.id))
  return () => assert.deepEqual(added, [])
}

test('nodes with the same secret become one network, by bytes and by words', async (t) => {
  for (const shared of [secret, 'correct horse battery staple']) {
    const a = await startNode(t, { secret: shared })
    const seeds = [{ address: '127.0.0.1', port: a.options.port }]
    const b = await startNode(t, { secret: shared, seeds })
    await poll(() => a.connected && b.connected, 5000, 'both have a peer')
    const heard = event(b.broadcast, 'chat')
    a.broadcast.emit('chat', 'hello', Buffer.from('bytes'))
    assert.deepEqual(await heard, ['hello', Buffer.from('bytes')])
    assert.deepEqual([a.peers.dump(), b.peers.dump()], [[b.id], [a.id]])
  }
})

test('ends with AES in hardware use it, and nodes of 1.0 keep their cipher', async (t) => {
  const node = await startNode(t, { secret })
  const cpu = process.platform === 'linux' ? fs.readFileSync('/proc/cpuinfo', 'utf8') : ''
  for (const aes of [true, false]) {
    const peer = await NativePeer.join(node.options.port, '', { secret, aes })
    t.after(() => peer.destroy())
    for (const text of ['first', 'second']) {
      const heard = event(node.peers.list.at(-1), 'said')
      peer.raw(frames.direct([JSON.stringify(['said', text])]))
      assert.deepEqual(await heard, [text])
      node.broadcast.emit('told', text)
      const came = () => peer.recorded.some((bytes) => bytes.includes(`["told","${text}"]`))
      await peer.until(came, 5000, 'a broadcast')
    }
    const hasBoth = aes && /^(flags|Features).*\baes\b/m.test(cpu)
    assert.deepEqual(
      peer.socket.suites,
      Array(2).fill(hasBoth ? 'aes-256-gcm' : 'chacha20-poly1305'),
    )
    peer.destroy()
    await poll(() => node.peers.list.length === 0, 5000, 'the peer is gone')
  }
})

test('a message larger than a record of the encryption arrives whole', async (t) => {
  const a = await startNode(t, { secret })
  const b = await startNode(t, { secret })
  await b.addPeer('127.0.0.1', a.options.port)
  await poll(() => a.connected, 5000, 'the other side has a peer')
  const large = randomBytes(1_500_000)
  const heard = event(a.broadcast, 'large', 10_000)
  b.broadcast.emit('large', large)
  const [came] = await heard
  assert.ok(came.equals(large))
})

test('strangers are refused: another secret, none, and neither side has a peer', async (t) => {
  const warnings = []
  const logger = { warn: (line) => warnings.push(line) }
  const member = await startNode(t, { secret, logger })
  const { port } = member.options
  const seeds = [{ address: '127.0.0.1', port }]
  const refused = []
  member.on('refused', ({ address, reason }) => refused.push([address, reason]))
  const bytes = await startNode(t, { secret: other, seeds })
  const words = await startNode(t, { secret: 'hello', seeds })
  const none = await startNode(t, { seeds })
  const checks = [member, bytes, words, none].map(expectNoPeers)
  const outcomes = []
  for (const stranger of [bytes, words, none]) {
    await stranger.addPeer('127.0.0.1', port).catch(({ code }) => outcomes.push(code))
  }
  assert.deepEqual(outcomes, ['ERR_SMOKE_SECRET', 'ERR_SMOKE_SECRET', 'ERR_SMOKE_REFUSED'])
  // And the other way round.
  await member.addPeer('127.0.0.1', none.options.port).catch(({ code }) => outcomes.push(code))
  assert.equal(outcomes[3], 'ERR_SMOKE_SECRET')
  await poll(() => none.stats().refusedEncrypted >= 1, 5000, 'it is counted there')
  const stats = await poll(
    () => member.stats().refusedSecret >= 4 && member.stats(),
    5000,
    'they are counted: each entered through its seed and dialled',
  )
  assert.ok(stats.refusedPlaintext >= 2 && stats.unanswered === 1, JSON.stringify(stats))
  assert.deepEqual(stats.links, [])
  for (const reason of ['secret', 'plaintext']) {
    assert.ok(refused.some(([address, why]) => address === '127.0.0.1' && why === reason))
  }
  for (const sentence of ['has another secret', 'is not encrypted']) {
    assert.ok(
      warnings.some((line) => line.includes(sentence)),
      warnings.join('\n'),
    )
  }
  for (const check of checks) check()
})

test('the port does not answer strangers', async (t) => {
  const node = await startNode(t, { secret })
  const { port } = node.options
  const probes = [
    Buffer.from('["smoke","handshake",{"id":"x"}]\n'),
    Buffer.from('["smoke","peer request",{"id":"x","remoteAddress":"127.0.0.1","remotePort":1}]\n'),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.concat([MAGIC, randomBytes(48)]),
    Buffer.concat([Buffer.from('SMKS\x02', 'latin1'), randomBytes(48)]),
    Buffer.concat([MAGIC, Buffer.alloc(48)]),
  ]
  const answers = await Promise.all(probes.map((bytes) => exchange(port, bytes)))
  assert.deepEqual(
    answers,
    probes.map(() => Buffer.alloc(0)),
  )
  const counts = await poll(
    () => {
      const { refusedPlaintext, refusedSecret } = node.stats()
      return refusedPlaintext + refusedSecret === 6 && [refusedPlaintext, refusedSecret]
    },
    5000,
    'all are counted',
  )
  assert.deepEqual(counts, [4, 2])
})

test('a flood of refused connections makes few log lines and events', async (t) => {
  const warnings = []
  const node = await startNode(t, { secret, logger: { warn: (line) => warnings.push(line) } })
  let events = 0
  node.on('refused', () => events++)
  const began = process.hrtime.bigint()
  for (let n = 0; n < 100; n++) await exchange(node.options.port, 'x')
  await poll(() => node.stats().refusedPlaintext === 100, 5000, 'all are counted')
  await quiet()
  const seconds = Number((process.hrtime.bigint() - began) / 1_000_000_000n)
  assert.ok(events >= 10 && events <= 11 + seconds, `${events} events in ${seconds} s`)
  assert.equal(warnings.length, events)
})

test('an open network refuses an encrypted link without a word', async (t) => {
  const node = await startNode(t)
  const noPeers = expectNoPeers(node)
  assert.deepEqual(
    await exchange(node.options.port, Buffer.concat([MAGIC, randomBytes(48)])),
    Buffer.alloc(0),
  )
  await poll(() => node.stats().refusedEncrypted === 1, 5000, 'it is counted')
  noPeers()
  // One byte at a time, too; and what only begins alike is not taken for it.
  const socket = net.connect(node.options.port, '127.0.0.1')
  socket.on('error', () => {}).resume()
  socket.setNoDelay()
  const closed = event(socket, 'close')
  for (const byte of MAGIC) {
    socket.write(Buffer.of(byte))
    await quiet(10)
  }
  await closed
  const wire = await dial(node.options.port)
  wire.raw('SMK\n["smoke","handshake",{"id":"legacy"}]\n')
  await wire.next('handshake ack')
  wire.destroy()
})

const WORDS = ['event-name', 'payload', 'direct-name', 'chunk', 'in-clear', 'smoke', '127.0.0.1']

/** Which of these are in a capture of raw bytes. */
const seen = (capture, texts) => texts.filter((text) => capture.includes(text))

/** Connects two nodes through `port`, which leads to `a`, and has them say all of `WORDS`. */
async function converse(a, b, port) {
  const toA = await b.addPeer('127.0.0.1', port)
  await poll(() => a.connected, 5000, 'the other side has a peer')
  const heard = event(b.broadcast, 'event-name-in-clear')
  a.broadcast.emit('event-name-in-clear', 'payload-in-clear')
  await heard
  const direct = event(a.peers.list[0], 'direct-name-in-clear')
  toA.emit('direct-name-in-clear', 'direct-payload-in-clear')
  await direct
  const chunk = event(b.broadcast, 'data')
  a.broadcast.write('chunk-in-clear')
  await chunk
}

test('names and contents cannot be read on the wire', async (t) => {
  const run = async (options) => {
    const a = await startNode(t, options)
    const proxy = await Relay.between(t, a.options.port)
    const b = await startNode(t, options)
    await converse(a, b, proxy.port)
    return { capture: proxy.capture.toString('latin1'), ids: [a.id, b.id] }
  }
  const closed = await run({ secret })
  assert.deepEqual(seen(closed.capture, [...WORDS, ...closed.ids]), [])
  assert.ok(closed.capture.startsWith('SMKS\x01') && closed.capture.length > 500)
  // The same capture of an open network shows them all: it is the secret that hides them.
  const open = await run({})
  assert.deepEqual(seen(open.capture, [...WORDS, ...open.ids]), [...WORDS, ...open.ids])
})

test('tcpdump sees no names or contents either', { skip: cannotCapture() ?? false }, async (t) => {
  const run = async (options) => {
    const a = await startNode(t, options)
    const b = await startNode(t, options)
    const tcpdump = await Capture.start(t, a.options.port)
    await converse(a, b, a.options.port)
    return { capture: await tcpdump.end(), ids: [a.id, b.id] }
  }
  const closed = await run({ secret })
  assert.deepEqual(seen(closed.capture, [...WORDS, ...closed.ids]), [])
  assert.ok(closed.capture.includes('SMKS\x01'))
  const open = await run({})
  assert.deepEqual(seen(open.capture, [...WORDS, ...open.ids]), [...WORDS, ...open.ids])
})

test('a bit flipped in transit ends the link, and its message is not delivered', async (t) => {
  for (const [what, from] of [
    ['the first message', 20],
    ['the third message', 70],
    ['the handshake inside', 125],
    ['a broadcast', 1500],
  ]) {
    const a = await startNode(t, { secret, maxPeerNo: 1 })
    let flipped = false
    const proxy = await Relay.between(t, a.options.port, (chunk, direction, offset) => {
      const at = from - offset
      if (flipped || direction !== 'out' || at >= chunk.length) return chunk
      flipped = true
      const changed = Buffer.from(chunk)
      changed[Math.max(at, 0)] ^= 4
      return changed
    })
    const b = await startNode(t, { secret, minPeerNo: 0 })
    const heard = []
    a.broadcast.on('n', (n, text) => heard.push([n, text.length]))
    await b.addPeer('127.0.0.1', proxy.port).catch(() => {})
    const send = (n) => b.broadcast.emit('n', n, 'x'.repeat(300))
    for (let n = 0; n < 20 && !flipped; n++) {
      send(n)
      await quiet(20)
    }
    await proxy.until(() => proxy.connections[0].closed, 5000, `the link is closed (${what})`)
    assert.ok(flipped)
    await poll(() => !a.connected && !b.connected, 5000, `no peers are left (${what})`)
    assert.deepEqual(
      heard,
      heard.map((_, n) => [n, 300]),
      'what came before is whole and in order',
    )
    const { corrupted, refusedSecret } = await poll(
      () => a.stats().corrupted + a.stats().refusedSecret > 0 && a.stats(),
      5000,
      `it is counted (${what})`,
    )
    assert.equal(corrupted + refusedSecret, 1, what)
  }
})

test('a recorded link cannot be replayed', async (t) => {
  const a = await startNode(t, { secret })
  const proxy = await Relay.between(t, a.options.port)
  const b = await startNode(t, { secret })
  await b.addPeer('127.0.0.1', proxy.port)
  await poll(() => a.connected, 5000, 'the other side has a peer')
  const heard = []
  a.broadcast.on('once', (n) => heard.push(n))
  const first = event(a.broadcast, 'once')
  b.broadcast.emit('once', 1)
  await first
  await b.stop()
  await poll(() => !a.connected, 5000, 'the peer is gone')
  const noPeers = expectNoPeers(a)
  const recorded = Buffer.concat(proxy.connections[0].out)
  const answer = await exchange(a.options.port, recorded)
  assert.equal(answer.length, 96, 'the answer to the first message, which any member can send')
  await poll(() => a.stats().refusedSecret === 1, 5000, 'it is counted')
  noPeers()
  assert.deepEqual(heard, [1])
})

test('an id cannot be chosen: it follows from the key', () => {
  const a = createNode({ address: '127.0.0.1', secret })
  const b = createNode({ address: '127.0.0.1', secret })
  assert.notEqual(a.id, b.id)
  assert.match(a.id, /^[a-z2-7]{26}$/)
  assert.throws(
    () => {
      b.id = a.id
    },
    { name: 'TypeError', code: 'ERR_SMOKE_OPTION', option: 'id' },
  )
})

test('the secret is not in the options, the logs or printed objects', async (t) => {
  const lines = []
  const log = (line) => lines.push(line)
  const logger = { trace: log, debug: log, info: log, warn: log, error: log }
  const words = 'a-passphrase-that-must-not-show'
  const a = await startNode(t, { secret: words, identity: randomBytes(32), logger })
  const b = await startNode(t, { secret: words, logger })
  await b.addPeer('127.0.0.1', a.options.port)
  const shown = require('node:util').inspect(a, { depth: 10, showHidden: true })
  assert.ok(!shown.includes(words) && !lines.join('\n').includes(words))
  assert.ok(!('secret' in a.options) && !('identity' in a.options))
})
