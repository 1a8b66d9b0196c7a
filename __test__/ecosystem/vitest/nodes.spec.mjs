import { once } from 'node:events'
import { createNode } from 'smokesignal'
import { afterEach, expect, test, vi } from 'vitest'

const address = '127.0.0.1'
const running = []

afterEach(async () => {
  vi.useRealTimers()
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

async function pair() {
  const nodes = [createNode({ address }), createNode({ address })]
  running.push(...nodes)
  await Promise.all(nodes.map((node) => node.start()))
  const added = once(nodes[1].peers, 'add')
  await nodes[0].addPeer(address, nodes[1].options.port)
  await added
  return nodes
}

test('values and Buffers arrive', async () => {
  const [a, b] = await pair()
  const heard = once(b.broadcast, 'v')
  a.broadcast.emit('v', { list: [1, 'two', null], data: Buffer.from('bytes') })
  expect(await heard).toEqual([{ list: [1, 'two', null], data: Buffer.from('bytes') }])
})

test('fake timers silence neither a sender nor a receiver', async () => {
  const [a, b] = await pair()
  const heard = []
  const all = new Promise((resolve) => {
    b.broadcast.on('n', (n) => {
      heard.push(n)
      if (heard.length === 2000) resolve()
    })
  })
  for (let n = 0; n < 1000; n++) a.broadcast.emit('n', n)
  vi.useFakeTimers({
    toFake: ['setImmediate', 'setTimeout', 'setInterval', 'queueMicrotask', 'performance'],
  })
  for (let n = 1000; n < 2000; n++) a.broadcast.emit('n', n)
  await all
  expect(heard).toEqual(Array.from({ length: 2000 }, (_, n) => n))
})
