'use strict'

/* global afterEach, expect, jest, test */

const { PassThrough, pipeline } = require('node:stream')
const { setImmediate: turn } = require('node:timers/promises')
const { createNode } = require('smokesignal')

const address = '127.0.0.1'
const running = []

afterEach(async () => {
  jest.useRealTimers()
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

async function pair() {
  const nodes = [createNode({ address }), createNode({ address })]
  running.push(...nodes)
  await Promise.all(nodes.map((node) => node.start()))
  const added = new Promise((resolve) => nodes[1].peers.once('add', resolve))
  const toB = await nodes[0].addPeer(address, nodes[1].options.port)
  return { a: nodes[0], b: nodes[1], toB, toA: await added }
}

/** Collects what is emitted until there are `count`. */
function collect(channel, name, count) {
  const heard = []
  return new Promise((resolve) => {
    channel.on(name, (argument) => {
      heard.push(argument)
      if (heard.length === count) resolve(heard)
    })
  })
}

const numbers = (count) => Array.from({ length: count }, (_, n) => n)

test('values and Buffers arrive', async () => {
  const { a, b } = await pair()
  const heard = collect(b.broadcast, 'v', 3)
  a.broadcast.emit('v', { list: [1, 'two', null] })
  a.broadcast.emit('v', { data: Buffer.from('bytes') })
  a.broadcast.emit('v', new Uint8Array([1, 2]))
  const bytes = [Buffer.from('bytes'), Buffer.from([1, 2])]
  expect(await heard).toEqual([{ list: [1, 'two', null] }, { data: bytes[0] }, bytes[1]])
})

test('fake timers silence neither a sender nor a receiver', async () => {
  const { a, b, toA, toB } = await pair()
  const heard = [collect(b.broadcast, 'n', 3000), collect(toA, 'n', 3000)]
  for (let n = 0; n < 1000; n++) {
    a.broadcast.emit('n', n)
    toB.emit('n', n)
  }
  jest.useFakeTimers()
  for (let n = 1000; n < 2000; n++) {
    a.broadcast.emit('n', n)
    toB.emit('n', n)
  }
  await turn()
  jest.useRealTimers()
  for (let n = 2000; n < 3000; n++) {
    a.broadcast.emit('n', n)
    toB.emit('n', n)
  }
  expect(await Promise.all(heard)).toEqual([numbers(3000), numbers(3000)])
})

test('a node that is made and stopped under fake timers', async () => {
  jest.useFakeTimers()
  const { a, b } = await pair()
  const heard = collect(b.broadcast, 'n', 2)
  a.broadcast.emit('n', 0)
  a.broadcast.emit('n', 1)
  expect(await heard).toEqual([0, 1])
  await Promise.all([a.stop(), b.stop()])
})

test('nodes that were never started, or only stopped, leave nothing', async () => {
  createNode({ address })
  await createNode({ address }).stop()
})

test('a node that is started and stopped again and again leaves nothing', async () => {
  const node = createNode({ address })
  for (let round = 0; round < 3; round++) {
    await node.start()
    await node.stop()
  }
})

test('a remote event ends no pipeline', async () => {
  const { a, b } = await pair()
  let isOver = false
  const out = new PassThrough()
  pipeline(new PassThrough(), b.broadcast, out, () => {
    isOver = true
  })
  const heard = collect(b.broadcast, 'over', 1)
  for (const name of ['close', 'error', 'end', 'finish', 'over']) a.broadcast.emit(name, 'x')
  await heard
  expect(isOver).toBe(false)
  out.destroy()
})
