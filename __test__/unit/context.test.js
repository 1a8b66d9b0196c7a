'use strict'

const assert = require('node:assert/strict')
const { AsyncLocalStorage } = require('node:async_hooks')
const { test } = require('node:test')
const { ADDED, PEER, fakeNode, settled } = require('./fake-node')

const storage = new AsyncLocalStorage()
const store = () => storage.getStore()

/** A node that was created in 'boot', listening, with a peer. */
async function createdInBoot(t) {
  const { node, native } = storage.run('boot', () => fakeNode())
  t.after(() => {
    native.push({ t: 'stopped' })
    return node.stop()
  })
  node.start()
  native.push({ t: 'listening', port: 4000 })
  await settled()
  return { node, native }
}

test("listeners run in the context of their node's creation, for events from every source", async (t) => {
  const { node, native } = await createdInBoot(t)
  const heard = []
  const listener = (name) => () => heard.push([name, store()])
  storage.run('request', () => {
    for (const name of ['connect', 'new peer', 'disconnect']) node.on(name, listener(name))
    for (const name of ['add', 'remove']) node.peers.on(name, listener(name))
    for (const name of ['n', 'data', 'drain']) node.broadcast.on(name, listener(name))
    node.peers.once('add', (peer) => peer.on('n', listener('peer n')))
  })
  native.outcomes = [1]
  node.broadcast.emit('x')
  const entries = [ADDED, [0, ['n', 1]], [0, 'chunk'], [PEER, ['n', 1]], { t: 'drain', peer: 0 }]
  for (const entry of entries) {
    storage.run('another', () => native.push(entry))
    await settled()
  }
  storage.run('closing', () => node.peers.list[0].close())
  assert.deepEqual(
    heard,
    [...['connect', 'new peer', 'add', 'n', 'data', 'peer n', 'drain', 'disconnect', 'remove']].map(
      (name) => [name, 'boot'],
    ),
  )
})

test('a node created outside any context has none', async (t) => {
  const { node, native } = fakeNode()
  t.after(() => {
    native.push({ t: 'stopped' })
    return node.stop()
  })
  const heard = []
  storage.run('request', () => {
    node.start()
    node.broadcast.on('n', () => heard.push(store()))
  })
  native.push({ t: 'listening', port: 4000 })
  await settled()
  storage.run('another', () => native.push([0, ['n', 1]], [0, ['n', 2]]))
  await settled()
  assert.deepEqual(heard, [undefined, undefined])
})

test('callbacks and promises keep the context of the call', async (t) => {
  const { node, native } = await createdInBoot(t)
  const heard = []
  await storage.run('dial', async () => {
    const dial = node.addPeer('127.0.0.1', 1, () => heard.push(['addPeer', store()]))
    native.push(ADDED, { t: 'dialed', req: 1, peer: PEER })
    await dial
    heard.push(['await addPeer', store()])
  })
  const [peer] = node.peers.list
  native.outcomes = [1]
  storage.run('first', () => peer.write('a', () => heard.push(['write', store()])))
  storage.run('second', () => peer.write('b', 'utf8', () => heard.push(['write', store()])))
  storage.run('third', () => peer.end(() => heard.push(['end', store()])))
  storage.run('line', () => peer.socket.send('x', 1, () => heard.push(['send', store()])))
  await settled()
  native.push({ t: 'drain', peer: PEER })
  await settled()
  assert.deepEqual(heard, [
    ['addPeer', 'dial'],
    ['await addPeer', 'dial'],
    ['send', 'line'],
    ['write', 'first'],
    ['write', 'second'],
    ['end', 'third'],
  ])
})
