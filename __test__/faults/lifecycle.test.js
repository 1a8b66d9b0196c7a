'use strict'

// Starting, stopping and ending: of nodes, of workers and of the process.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const net = require('node:net')
const path = require('node:path')
const { describe, test } = require('node:test')
const { heard, startOwn } = require('../support/own')
const { freePort } = require('../support/ports')
const { Program } = require('../support/process')
const { event, poll, within } = require('../support/wait')
const { WireServer, join } = require('../support/wire')
const smoke = require('../..')

const ROOT = JSON.stringify(path.join(__dirname, '..', '..'))

function create(t, options) {
  const node = smoke.createNode({ address: '127.0.0.1', minPeerNo: 1, ...options })
  t.after(() => node.stop())
  return node
}

const listening = (node) => poll(() => node.listening, 5000, 'it listens', 2)

describe('stop', () => {
  test('before start, and twice, is fine', async (t) => {
    const node = create(t, { port: await freePort() })
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

  test('with peers removes each, tells of it, and lets the port go', async (t) => {
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
    const node = create(t, { port: await freePort() })
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
    const node = create(t, { port })
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
    const node = create(t, { port })
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

  test('fails the promise of start, which nobody has to look at', async () => {
    const program = new Program([
      '-e',
      `const smoke = require(${ROOT})
       const options = { address: '127.0.0.1', port: 0 }
       const first = smoke.createNode(options)
       first.start().then(() => {
         const second = smoke.createNode({ ...options, port: first.options.port })
         second.on('error', (error) => {
           console.log(error.code)
           setTimeout(() => first.stop(), 50)
         })
         second.start()
       })`,
    ])
    const exit = await program.exited()
    assert.deepEqual(
      [program.out, program.err, exit],
      ['EADDRINUSE\n', '', { code: 0, signal: null }],
    )
  })
})

describe('the process', () => {
  test('is kept alive by a listening node, and exits within a second after the last one stopped', async (t) => {
    const program = new Program([
      '-e',
      `const smoke = require(${ROOT})
       const nodes = [1, 2].map(() => smoke.createNode({ address: '127.0.0.1', port: 0 }))
       Promise.all(nodes.map((node) => node.start())).then(async () => {
         await nodes[0].addPeer('127.0.0.1', nodes[1].options.port)
         console.log('up')
         // Nothing of JavaScript keeps the process: only the nodes do.
         setTimeout(() => {
           nodes[0].stop()
           setTimeout(() => {
             console.log('stopping')
             nodes[1].stop()
           }, 300)
         }, 300)
       })`,
    ])
    t.after(() => program.kill())
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

  test('stays while a node listens and nothing else is to be done', async (t) => {
    const program = new Program([
      '-e',
      `const node = require(${ROOT}).createNode({ address: '127.0.0.1', port: ${await freePort()} })
       node.start()`,
    ])
    t.after(() => program.kill())
    await new Promise((resolve) => setTimeout(resolve, 1500))
    assert.equal(program.exit, null, program.dump())
  })

  test('exits by itself when a node was created and never started', async () => {
    const program = new Program([
      '-e',
      `require(${ROOT}).createNode({ address: '127.0.0.1', port: 0 })`,
    ])
    assert.deepEqual(await program.exited(), { code: 0, signal: null })
    assert.equal(program.err, '')
  })
})

// Three nodes that shout as loud as they can; JavaScript of both sides is busy all the time.
const LOAD = `
  const smoke = require(${ROOT})
  async function load() {
    const nodes = [1, 2, 3].map(() => smoke.createNode({ address: '127.0.0.1', port: 0, minPeerNo: 1 }))
    await Promise.all(nodes.map((node) => node.start()))
    await nodes[0].addPeer('127.0.0.1', nodes[1].options.port)
    await nodes[1].addPeer('127.0.0.1', nodes[2].options.port)
    let heard = 0
    for (const node of nodes) {
      node.broadcast.on('load', () => heard++)
      node.broadcast.on('data', () => heard++)
      node.broadcast.stream?.on('error', () => {})
      const shout = () => {
        for (let i = 0; i < 100; i++) {
          if (!node.broadcast.emit('load', { i, text: 'x'.repeat(80) })) break
        }
        node.broadcast.write('chunk')
        setImmediate(shout)
      }
      shout()
    }
    return () => heard
  }`

describe('ending under load', { concurrency: 2 }, () => {
  for (const code of [0, 3]) {
    test(`process.exit(${code}) neither crashes nor hangs, five times`, async () => {
      for (let round = 0; round < 5; round++) {
        const program = new Program([
          '-e',
          `${LOAD}
           load().then((heard) => {
             const look = setInterval(() => heard() > 500 && process.exit(${code}), 1 + ${round})
           })`,
        ])
        const exit = await program.exited(15000)
        assert.deepEqual([exit, program.err, program.out], [{ code, signal: null }, '', ''])
      }
    })
  }

  test('an uncaught exception in a handler ends the process as usual', async () => {
    const program = new Program([
      '-e',
      `${LOAD}
       load().then((heard) => setInterval(() => { if (heard() > 500) throw new Error('planned') }, 1))`,
    ])
    const exit = await program.exited(15000)
    assert.deepEqual(exit, { code: 1, signal: null })
    assert.match(program.err, /Error: planned/)
    assert.doesNotMatch(program.err, /panicked|FATAL|Aborted/)
  })

  test('workers that are terminated, that exit and that end by themselves, again and again', async (t) => {
    const file = path.join(fs.mkdtempSync(path.join(require('node:os').tmpdir(), 'smoke-')), 'w.js')
    t.after(() => fs.rmSync(path.dirname(file), { recursive: true }))
    fs.writeFileSync(
      file,
      `${LOAD}
       const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads')
       if (isMainThread) main()
       else load().then((heard) => {
         const look = setInterval(() => {
           if (heard() < 200) return
           clearInterval(look)
           if (workerData === 'exit') process.exit(0)
           parentPort.postMessage('loaded')
         }, 1)
       })
       async function main() {
         const own = await load()
         for (let round = 0; round < 4; round++) {
           await Promise.all(['terminate', 'exit'].map((workerData) => new Promise((resolve, reject) => {
             const worker = new Worker(__filename, { workerData })
             worker.on('error', reject)
             worker.on('exit', resolve)
             worker.on('message', () => worker.terminate())
           })))
         }
         const before = own()
         setTimeout(() => {
           console.log(own() > before ? 'main thread still hears' : 'main thread is deaf')
           process.exit(0)
         }, 300)
       }`,
    )
    const program = new Program([file])
    t.after(() => program.kill())
    const exit = await program.exited(40000)
    assert.deepEqual(
      [exit, program.err, program.out],
      [{ code: 0, signal: null }, '', 'main thread still hears\n'],
    )
  })

  test('a worker stops its node and ends by itself', async () => {
    const program = new Program([
      '-e',
      `const { Worker } = require('node:worker_threads')
       new Worker(\`
         const node = require(${ROOT.replaceAll('\\', '\\\\')}).createNode({ address: '127.0.0.1', port: 0 })
         node.start().then(() => node.stop()).then(() => console.log('stopped'))
       \`, { eval: true }).on('exit', (code) => console.log('exit', code))`,
    ])
    const exit = await program.exited()
    assert.deepEqual(
      [exit, program.out, program.err],
      [{ code: 0, signal: null }, 'stopped\nexit 0\n', ''],
    )
  })
})

test('a receiver hears all that was sent before its sender stopped', async (t) => {
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
