'use strict'

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')
const { Program } = require('../support/process')

const ROOT = path.join(__dirname, '..', '..')

/** Runs a program with `createNode`, and `pair(options)` for two nodes that are peers. */
async function run(t, source) {
  const prelude = `
    const { createNode } = require(${JSON.stringify(ROOT)})
    const address = '127.0.0.1'
    async function pair() {
      const [a, b] = [createNode({ address }), createNode({ address })]
      await Promise.all([a.start(), b.start()])
      const added = new Promise((resolve) => b.peers.once('add', resolve))
      const toB = await a.addPeer(address, b.options.port)
      return { a, b, toB, toA: await added }
    }
    /** Keeps both ends busy with broadcasts, direct messages and chunks. */
    function load({ a, b, toA, toB }) {
      for (const channel of [a.broadcast, b.broadcast, toA, toB]) {
        channel.on('n', () => {}).on('data', () => {})
        const work = () => {
          for (let n = 0; n < 20; n++) channel.emit('n', n, 'x'.repeat(100))
          channel.emit('n', Buffer.alloc(100))
          channel.write('x'.repeat(100))
          setImmediate(work)
        }
        work()
      }
    }
  `
  const program = new Program(['-e', prelude + source])
  t.after(() => program.kill())
  const { code, signal } = await program.exited(10_000)
  return { code, signal, out: program.out, err: program.err }
}

const CLEAN = { code: 0, signal: null, err: '' }

function assertClean({ code, signal, err }, expected = CLEAN) {
  assert.deepEqual({ code, signal, err }, expected)
}

test('a node that was not started keeps no process alive', async (t) => {
  assertClean(await run(t, `createNode({ address }).broadcast.on('data', () => {})`))
})

test('a node keeps the process alive from start until stop', async (t) => {
  const result = await run(
    t,
    `
    const node = createNode({ address })
    let stoppedAt
    node.start()
    setTimeout(() => {
      stoppedAt = performance.now()
      console.log(node.listening)
      node.stop()
    }, 300).unref()
    process.on('exit', () => console.log(performance.now() - stoppedAt < 1000))
    `,
  )
  assert.equal(result.out, 'true\ntrue\n')
  assertClean(result)
})

test('the process exits by itself within a second after the last node with peers stopped', async (t) => {
  const result = await run(
    t,
    `
    pair().then((nodes) => {
      nodes.a.broadcast.emit('some', 'words')
      nodes.toA.write('some more')
      nodes.a.stop()
      nodes.b.stop()
      const stoppedAt = performance.now()
      process.on('exit', () => console.log(performance.now() - stoppedAt < 1000))
    })
    `,
  )
  assert.equal(result.out, 'true\n')
  assertClean(result)
})

test('a failed start lets the process exit', async (t) => {
  const result = await run(
    t,
    `
    const first = createNode({ address })
    first.start().then(() => {
      const second = createNode({ address, port: first.options.port })
      second.on('error', ({ code }) => {
        console.log(code)
        first.stop()
      })
      second.start()
    })
    `,
  )
  assert.equal(result.out, 'EADDRINUSE\n')
  assertClean(result)
})

test('an error that nobody listens for is an uncaught exception', async (t) => {
  const { code, err } = await run(
    t,
    `
    const first = createNode({ address })
    first.start().then(() => {
      createNode({ address, port: first.options.port }).start()
    })
    `,
  )
  assert.equal(code, 1)
  assert.match(err, /EADDRINUSE/)
})

test('an ignored rejection of start, stop or addPeer is no unhandled rejection', async (t) => {
  const result = await run(
    t,
    `
    const node = createNode({ address })
    node.on('error', () => {})
    node.addPeer(address, 1)
    node.start()
    node.addPeer(address, 1)
    node.stop()
    `,
  )
  assertClean(result)
})

test('a handler that throws is an ordinary uncaught exception', async (t) => {
  const { code, err } = await run(
    t,
    `
    pair().then(({ a, b }) => {
      b.broadcast.on('boom', function handler() { throw new Error('in the handler') })
      a.broadcast.emit('boom')
    })
    `,
  )
  assert.equal(code, 1)
  assert.match(err, /Error: in the handler\n +at \w*\.?handler/)
})

test('with a handler for uncaught exceptions, everything else is still delivered', async (t) => {
  const result = await run(
    t,
    `
    const errors = []
    process.on('uncaughtException', ({ message }) => errors.push(message))
    pair().then(({ a, b, toA, toB }) => {
      let heard = 0
      const done = () => {
        console.log(heard, errors.length)
        a.stop()
        b.stop()
      }
      b.broadcast.on('n', (n) => {
        heard++
        if (n % 10 === 0) throw new Error(n)
        if (n === 999) toB.emit('over')
      })
      toA.on('over', done)
      for (let n = 0; n < 1000; n++) a.broadcast.emit('n', n)
    })
    `,
  )
  assert.equal(result.out, '1000 100\n')
  assertClean(result)
})

test('process.exit under load', async (t) => {
  for (let round = 0; round < 3; round++) {
    const result = await run(
      t,
      `
      pair().then((nodes) => {
        load(nodes)
        setTimeout(() => process.exit(7), 100 + ${round} * 50)
      })
      `,
    )
    assertClean(result, { ...CLEAN, code: 7 })
  }
})

test('many nodes that are created and forgotten are collected', async (t) => {
  const result = await run(
    t,
    `
    require('node:v8').setFlagsFromString('--expose-gc')
    const gc = require('node:vm').runInNewContext('gc')
    const refs = []
    for (let n = 0; n < 100; n++) refs.push(new WeakRef(createNode({ address })))
    setImmediate(() => setImmediate(() => {
      gc()
      console.log(refs.filter((ref) => ref.deref() !== undefined).length < 10)
    }))
    `,
  )
  assert.equal(result.out, 'true\n')
  assertClean(result)
})

test('an unref node lets the process end; ref keeps it again', async (t) => {
  const start = 'const node = createNode({ address }); node.start()'
  const unref = await run(t, `${start}.then(() => console.log(node.unref().listening))`)
  assertClean(unref)
  assert.equal(unref.out, 'true\n')
  const result = await run(
    t,
    `
    ${start}.then(() => {
      node.unref().ref()
      setTimeout(() => {
        console.log('still here')
        node.unref()
      }, 200).unref()
    })
    `,
  )
  assertClean(result)
  assert.equal(result.out, 'still here\n')
})

test('await using stops a node', {
  skip: Number(process.versions.node.split('.')[0]) < 24,
}, async (t) => {
  const result = await run(
    t,
    `
    async function main() {
      await using node = createNode({ address })
      await node.start()
      await using other = createNode({ address })
      await other.start()
      await using peer = await node.addPeer(address, other.options.port)
      console.log(peer.id === other.id)
    }
    main()
    `,
  )
  assertClean(result)
  assert.equal(result.out, 'true\n')
})

test('nothing is left that holds the process after a stop', async (t) => {
  const result = await run(
    t,
    `
    const before = process.getActiveResourcesInfo().filter((name) => name !== 'Immediate')
    pair().then(async (nodes) => {
      nodes.b.broadcast.on('n', () => {})
      nodes.a.broadcast.emit('n')
      await Promise.all([nodes.a.stop(), nodes.b.stop()])
      await new Promise((resolve) => setImmediate(resolve))
      console.log(JSON.stringify([before, process.getActiveResourcesInfo()]))
    })
    `,
  )
  assertClean(result)
  const [before, after] = JSON.parse(result.out)
  assert.deepEqual(after, before)
})
