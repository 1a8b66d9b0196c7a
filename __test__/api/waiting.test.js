'use strict'

// On Linux the event loop itself waits for the sockets of a node whose application listens.

const assert = require('node:assert/strict')
const path = require('node:path')
const { performance } = require('node:perf_hooks')
const { test } = require('node:test')
const { Program } = require('../support/process')

const ROOT = path.join(__dirname, '..', '..')

/** Runs a program in a process of its own, so that its event loop has nothing else to do. */
async function run(t, source) {
  const prelude = `
    const { once } = require('node:events')
    const { performance } = require('node:perf_hooks')
    const { setTimeout: pause } = require('node:timers/promises')
    const { Worker, parentPort, workerData } = require('node:worker_threads')
    const { createNode } = require(${JSON.stringify(ROOT)})
    const address = '127.0.0.1'
  `
  const program = new Program(['-e', `${prelude};(async () => {${source}})()`], {
    env: { ...process.env, PRELUDE: prelude },
  })
  t.after(() => program.kill())
  const { code, signal } = await program.exited(30_000)
  assert.deepEqual({ code, signal, err: program.err }, { code: 0, signal: null, err: '' })
  return program.out
}

const hasLoopCount = performance.nodeTiming.uvMetricsInfo?.loopCount !== undefined

test('a node that only relays does not wake JavaScript', {
  skip: !hasLoopCount && 'this Node.js does not count the turns of its event loop',
}, async (t) => {
  const out = await run(
    t,
    `
    const relay = createNode({ address, minPeerNo: 1 })
    await relay.start()
    const worker = new Worker(\`
      \${process.env.PRELUDE}
      const seeds = [{ address, port: workerData }]
      const [from, to] = [0, 1].map(() => createNode({ address, seeds, minPeerNo: 1, maxPeerNo: 1 }))
      Promise.all([from, to].map((node) => [node.start(), once(node, 'connect')]).flat()).then(async () => {
        let heard = 0
        to.broadcast.on('n', () => ++heard === 500 && parentPort.postMessage('all'))
        await once(parentPort, 'message')
        for (let n = 0; n < 500; n++) {
          from.broadcast.emit('n', n)
          await pause(1)
        }
      })
      parentPort.postMessage('ready')
    \`, { eval: true, workerData: relay.options.port })
    while (relay.peers.list.length < 2) await once(relay.peers, 'add')
    // What is still to be told of the new peers.
    await pause(500)
    const turns = () => performance.nodeTiming.uvMetricsInfo.loopCount
    const before = turns()
    worker.postMessage('go')
    await once(worker, 'message')
    const turned = turns() - before
    if (turned > 50) console.log(turned, 'turns')
    while (relay.stats().forwarded < 500) await pause(20)
    console.log('relayed')
    await worker.terminate()
    await relay.stop()
    `,
  )
  assert.equal(out, 'relayed\n')
})

test('messages that come one by one are heard in order, whoever reads them', async (t) => {
  const out = await run(
    t,
    `
    const hub = createNode({ address })
    await hub.start()
    const worker = new Worker(\`
      \${process.env.PRELUDE}
      const node = createNode({ address, seeds: [{ address, port: workerData }] })
      node.on('connect', async () => {
        for (let n = 0; n < 600; n++) {
          node.broadcast.emit('n', n)
          if (n % 3 === 0) await pause(1)
        }
      })
      node.start()
    \`, { eval: true, workerData: hub.options.port })
    const heard = []
    const all = new Promise((resolve) => hub.broadcast.on('n', (n) => {
      heard.push(n)
      // Busy for longer than the core waits before it reads itself, now and then.
      if (n % 50 === 0) for (const end = performance.now() + 12; performance.now() < end; );
      if (n === 599) resolve()
    }))
    await all
    console.log(heard.every((n, index) => n === index) && heard.length)
    await worker.terminate()
    await hub.stop()
    `,
  )
  assert.equal(out, '600\n')
})

for (const [what, end] of [
  ['exits', 'process.exit(3)'],
  ['throws', "throw new Error('thrown by a handler')"],
  ['is terminated', "parentPort.postMessage('now')"],
]) {
  test(`a worker that ${what} in a handler ends alone`, async (t) => {
    const out = await run(
      t,
      `
      const node = createNode({ address })
      await node.start()
      const worker = new Worker(\`
        \${process.env.PRELUDE}
        const node = createNode({ address, seeds: [{ address, port: workerData }] })
        node.broadcast.on('n', (n) => { if (n === 50) { ${end} } })
        node.start()
      \`, { eval: true, workerData: node.options.port })
      worker.on('message', () => worker.terminate())
      worker.on('error', ({ message }) => console.log(message))
      const ended = new Promise((resolve) => worker.on('exit', resolve))
      if (!node.connected) await once(node, 'connect')
      for (let n = 0; n < 100; n++) {
        node.broadcast.emit('n', n)
        await pause(2)
      }
      const code = await ended
      console.log(code)
      await node.stop()
      `,
    )
    const expected = { exits: '3\n', throws: 'thrown by a handler\n1\n', 'is terminated': '1\n' }
    assert.equal(out, expected[what])
  })
}

test('an error that a handler throws is an uncaught exception, and the next message comes', async (t) => {
  const out = await run(
    t,
    `
    const node = createNode({ address })
    await node.start()
    process.on('uncaughtException', ({ message }) => console.log(message))
    const worker = new Worker(\`
      \${process.env.PRELUDE}
      const node = createNode({ address, seeds: [{ address, port: workerData }] })
      node.on('connect', async () => {
        for (let n = 0; n < 20; n++) {
          node.broadcast.emit('n', n)
          await pause(5)
        }
      })
      node.start()
    \`, { eval: true, workerData: node.options.port })
    await new Promise((resolve) => node.broadcast.on('n', (n) => {
      if (n === 19) return resolve()
      if (n > 16) throw new Error(n)
    }))
    await worker.terminate()
    await node.stop()
    `,
  )
  assert.equal(out, '17\n18\n')
})
