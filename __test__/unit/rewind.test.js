'use strict'

// A turn that takes too long gives back what is left, which is a rewind, too. Here the clock stands
// still, so that no turn takes too long.
performance.now = () => 0

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { fakeNetwork, settled } = require('./fake-node')

test('a listener that comes again at once costs no rewind', async (t) => {
  const { node, native } = await fakeNetwork(t)
  const heard = []
  const listen = () =>
    node.broadcast.once('n', (n) => {
      heard.push(n)
      listen()
    })
  listen()
  await settled()
  native.push(...Array.from({ length: 50 }, (_, n) => [0, ['n', n]]))
  await settled()
  assert.equal(heard.length, 50)
  assert.equal(native.rewinds, 0)
})

test('a listener that comes when nothing was passed over costs no rewind', async (t) => {
  const { node, native } = await fakeNetwork(t)
  const heard = []
  node.broadcast.on('n', (n) => node.broadcast.once(`reply ${n}`, (m) => heard.push(m)))
  await settled()
  native.push(...Array.from({ length: 50 }, (_, n) => [0, ['n', n]]))
  await settled()
  native.push(...Array.from({ length: 50 }, (_, n) => [0, [`reply ${n}`, n]]))
  await settled()
  assert.deepEqual([heard.length, native.rewinds], [50, 0])
})
