'use strict'

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')
const { Program } = require('../support/process')

const ROOT = path.join(__dirname, '..', '..')

// Two nodes in a worker, busy with each other; says 'busy' once messages flow.
const BUSY = `
  const { createNode } = require(${JSON.stringify(ROOT)})
  const { parentPort } = require('node:worker_threads')
  const address = '127.0.0.1'
  const logger = { trace() {}, debug() {} }
  const [a, b] = [createNode({ address, logger }), createNode({ address, logger })]
  Promise.all([a.start(), b.start()]).then(async () => {
    b.broadcast.once('n', () => parentPort.postMessage('busy'))
    b.broadcast.on('n', () => {}).on('data', () => {})
    const peer = await a.addPeer(address, b.options.port)
    const work = () => {
      for (let n = 0; n < 100; n++) {
        a.broadcast.emit('n', n)
        peer.emit('n', Buffer.alloc(10))
        a.broadcast.write('chunk')
      }
      setImmediate(work)
    }
    work()
  })
`

/** Runs a program in a process of its own, so that a crash is one of that process. */
async function run(t, source, ms = 30_000) {
  const prelude = `
    const { Worker } = require('node:worker_threads')
    const { once } = require('node:events')
    const BUSY = ${JSON.stringify(BUSY)};
  `
  const program = new Program(['-e', prelude + source])
  t.after(() => program.kill())
  const { code, signal } = await program.exited(ms)
  assert.deepEqual({ code, signal, err: program.err }, { code: 0, signal: null, err: '' })
  return program.out
}

test('several workers and the main thread load the addon at once', async (t) => {
  const out = await run(
    t,
    `
    const { createNode } = require(${JSON.stringify(ROOT)})
    const node = createNode({ address: '127.0.0.1', maxPeerNo: 10 })
    let heard = 0
    node.broadcast.on('hello', () => {
      if (++heard < 4) return
      node.broadcast.emit('bye')
      node.stop()
    })
    node.start().then(() => {
      for (let n = 0; n < 4; n++) new Worker(\`
        const { createNode } = require(${JSON.stringify(ROOT)})
        const { workerData } = require('node:worker_threads')
        const address = '127.0.0.1'
        const node = createNode({ address, seeds: [{ address, port: workerData }] })
        node.once('connect', () => node.broadcast.emit('hello'))
        node.broadcast.once('bye', () => node.stop())
        node.start()
      \`, { eval: true, workerData: node.options.port })
    })
    process.on('exit', () => console.log(heard))
    `,
  )
  assert.equal(out, '4\n')
})

test('workers are terminated under load, again and again', { timeout: 60_000 }, async (t) => {
  const out = await run(
    t,
    `
    (async () => {
      for (let round = 0; round < 5; round++) {
        const workers = [0, 1].map(() => new Worker(BUSY, { eval: true }))
        await Promise.all(workers.map((worker) => once(worker, 'message')))
        await Promise.all(workers.map((worker) => worker.terminate()))
      }
      console.log('done')
    })()
    `,
  )
  assert.equal(out, 'done\n')
})

test('a worker that is terminated frees its port', async (t) => {
  const out = await run(
    t,
    `
    const net = require('node:net')
    const worker = new Worker(\`
      const { createNode } = require(${JSON.stringify(ROOT)})
      const { parentPort } = require('node:worker_threads')
      const node = createNode({ address: '127.0.0.1' })
      node.start().then(() => parentPort.postMessage(node.options.port))
    \`, { eval: true })
    worker.once('message', async (port) => {
      await worker.terminate()
      const end = Date.now() + 5000
      const listen = () => {
        const server = net.createServer()
        server.once('error', (error) => {
          if (Date.now() < end) setTimeout(listen, 20)
          else throw error
        })
        server.listen(port, () => {
          console.log('free')
          server.close()
        })
      }
      listen()
    })
    `,
  )
  assert.equal(out, 'free\n')
})

test('process.exit in a worker under load ends the worker only', async (t) => {
  const out = await run(
    t,
    `
    const worker = new Worker(BUSY + "; setTimeout(() => process.exit(3), 500)", { eval: true })
    worker.once('exit', (code) => console.log(code))
    `,
  )
  assert.equal(out, '3\n')
})

test('the main thread exits while workers are busy', async (t) => {
  await run(
    t,
    `
    const workers = [0, 1].map(() => new Worker(BUSY, { eval: true }))
    Promise.all(workers.map((worker) => once(worker, 'message'))).then(() => process.exit(0))
    `,
  )
})

test('a worker whose nodes were stopped ends by itself', async (t) => {
  const out = await run(
    t,
    `
    const source = BUSY.replace('setImmediate(work)', 'a.stop(); b.stop()')
    const worker = new Worker(source, { eval: true })
    worker.once('exit', (code) => console.log(code))
    `,
  )
  assert.equal(out, '0\n')
})
