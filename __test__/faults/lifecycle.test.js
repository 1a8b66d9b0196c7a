'use strict'

// Whole processes at hostile moments: nodes start, stop and end during dials, floods and kills.
// unit/lifecycle.test.js tests the states of a node on a fake addon; api/lifecycle.test.js tests
// the application's view of a real one.

const assert = require('node:assert/strict')
const net = require('node:net')
const path = require('node:path')
const { describe, test } = require('node:test')
const { createOwn, heard, startOwn } = require('../support/nodes')
const { freePort } = require('../support/ports')
const { Program } = require('../support/process')
const { event, poll, within } = require('../support/wait')
const { WireServer, join } = require('../support/wire')

/** A process that runs a case of fixtures/load.js; killed after the test. */
function run(t, ...args) {
  const program = new Program([path.join(__dirname, '..', 'fixtures', 'load.js'), ...args])
  t.after(() => program.kill())
  return program
}

const listening = (node) => poll(() => node.listening, 5000, 'it listens', 2)

describe('stop', () => {
  test('works before start, and twice', async (t) => {
    const node = createOwn(t, { port: await freePort() })
    await node.stop()
    await node.stop()
    assert.equal(node.listening, false)
    node.start()
    await listening(node)
    node.stop()
    await node.stop()
    await node.stop()
    assert.equal(node.listening, false)
  })

  test('with peers removes each with an event, and frees the port', async (t) => {
    const [a, b] = [await startOwn(t), await startOwn(t)]
    await a.addPeer('127.0.0.1', b.options.port)
    await poll(() => b.peers.list.length === 1, 5000, 'linked')
    const disconnected = event(b, 'disconnect')
    await a.stop()
    await disconnected
    const [came, went] = [a.seen.events.slice(0, 2), a.seen.events.slice(2)]
    assert.deepEqual(
      [came.sort(), went.sort()],
      [
        [`add ${b.id}`, 'connect'],
        ['disconnect', `remove ${b.id}`],
      ],
    )
    assert.deepEqual([a.peers.list, a.connected, a.listening], [[], false, false])
    const server = net.createServer()
    await new Promise((resolve, reject) => {
      server.on('error', reject)
      server.listen(a.options.port, '127.0.0.1', resolve)
    })
    server.close()
  })

  test('while it is starting or dialling leaves nothing running', async (t) => {
    const silent = await WireServer.listen()
    t.after(() => silent.close())
    const node = createOwn(t, { port: await freePort() })
    const started = node.start()
    await node.stop()
    await within(
      Promise.resolve(started).catch(() => {}),
      5000,
      'start is settled',
    )
    assert.equal(node.listening, false)
    node.start()
    await listening(node)
    const dialled = Promise.resolve(node.addPeer('127.0.0.1', silent.port)).catch((error) => error)
    const wire = await silent.next()
    await wire.next('handshake')
    await node.stop()
    await wire.until(() => wire.ended || wire.closed, 2000, 'the dial is given up')
    assert.ok((await within(dialled, 2000, 'addPeer is settled')) instanceof Error)
    assert.deepEqual(node.peers.list, [])
  })

  test('and start on the same port at once, ten times, with a peer each time', async (t) => {
    const port = await freePort()
    const node = createOwn(t, { port })
    const got = []
    node.broadcast.on('chat', (text) => got.push(text))
    for (let round = 0; round < 10; round++) {
      await node.start()
      await listening(node)
      const wire = await join(port, `round${round}`)
      wire.broadcast(wire.id, ['chat', round])
      await poll(() => got.length === round + 1, 5000, `round ${round}`, 2)
      await node.stop()
      await wire.gone()
    }
    assert.deepEqual(
      got,
      Array.from({ length: 10 }, (_, round) => round),
    )
  })
})

describe('a port in use', () => {
  test('is an error event with a code, and the node can be started again', async (t) => {
    const port = await freePort()
    const blocker = net.createServer()
    await new Promise((resolve) => blocker.listen(port, resolve))
    const node = createOwn(t, { port })
    const failed = event(node, 'error')
    node.start()
    const [error] = await failed
    assert.equal(error.code, 'EADDRINUSE')
    assert.ok(error instanceof Error)
    assert.equal(node.listening, false)
    await new Promise((resolve) => blocker.close(resolve))
    node.start()
    await listening(node)
    const wire = await join(port, 'later')
    wire.destroy()
  })

  test('fails the promise of start, which may be ignored', async (t) => {
    const program = run(t, 'port in use')
    const exit = await program.exited()
    assert.deepEqual(
      [program.out, program.err, exit],
      ['EADDRINUSE\n', '', { code: 0, signal: null }],
    )
  })
})

describe('the process', () => {
  test('is kept alive by a listening node, and exits within a second after the last stop', async (t) => {
    const program = run(t, 'only nodes')
    await program.until(() => program.out.includes('stopping'), 10000)
    const from = Date.now()
    await program.exited()
    const took = Date.now() - from
    assert.deepEqual(
      [program.out, program.err, program.exit],
      ['up\nstopping\n', '', { code: 0, signal: null }],
    )
    assert.ok(took < 1000, `${took} ms`)
  })

  test('stays alive for a listening node alone', async (t) => {
    const program = run(t, 'listen', String(await freePort()))
    await new Promise((resolve) => setTimeout(resolve, 1500))
    assert.equal(program.exit, null, program.dump())
  })

  test('exits by itself if its node never started', async (t) => {
    const program = run(t, 'never started')
    assert.deepEqual(await program.exited(), { code: 0, signal: null })
    assert.equal(program.err, '')
  })
})

describe('ending under load', { concurrency: 2 }, () => {
  for (const code of [0, 3]) {
    test(`process.exit(${code}) neither crashes nor hangs, five times`, async (t) => {
      for (let round = 0; round < 5; round++) {
        const program = run(t, 'exit', String(code), String(1 + round))
        const exit = await program.exited(15000)
        assert.deepEqual([exit, program.err, program.out], [{ code, signal: null }, '', ''])
      }
    })
  }

  test('an uncaught exception in a handler ends the process as usual', async (t) => {
    const program = run(t, 'throw')
    const exit = await program.exited(15000)
    assert.deepEqual(exit, { code: 1, signal: null })
    assert.match(program.err, /Error: planned/)
    assert.doesNotMatch(program.err, /panicked|FATAL|Aborted/)
  })

  test('workers are terminated, exit and end by themselves, again and again', async (t) => {
    const program = run(t, 'workers')
    const exit = await program.exited(40000)
    assert.deepEqual(
      [exit, program.err, program.out],
      [{ code: 0, signal: null }, '', 'main thread still hears\n'],
    )
  })

  test('a worker stops its node and ends by itself', async (t) => {
    const program = run(t, 'worker that stops')
    const exit = await program.exited()
    assert.deepEqual(
      [exit, program.out, program.err],
      [{ code: 0, signal: null }, 'stopped\nexit 0\n', ''],
    )
  })
})

test('a receiver hears all messages that were sent before its sender stopped', async (t) => {
  const [a, b] = [await startOwn(t), await startOwn(t)]
  await a.addPeer('127.0.0.1', b.options.port)
  await poll(() => b.peers.list.length === 1, 5000, 'linked')
  for (let n = 0; n < 1000; n++) a.broadcast.emit('chat', n)
  await a.stop()
  await poll(() => heard(b).length === 1000, 5000, 'all of it')
  assert.deepEqual(
    heard(b),
    Array.from({ length: 1000 }, (_, n) => ['chat', n]),
  )
})
