'use strict'

const { Node } = require('../../lib/node')
const { fakeBinding } = require('./fake-binding')

const PEER = 7
const ADDED = { t: 'add', peer: PEER, id: 'abc', address: '10.0.0.1', port: 99, native: true }

/** A node on a fake addon. */
function fakeNode(options = {}) {
  const binding = fakeBinding()
  const node = new Node({ address: '127.0.0.1', ...options }, binding)
  return { node, native: binding.last }
}

/** The same, listening, with a peer; stopped after the test. */
async function fakeNetwork(t, options) {
  const { node, native } = fakeNode(options)
  node.start()
  t.after(() => {
    native.push({ t: 'stopped' })
    return node.stop()
  })
  native.push({ t: 'listening', port: 4000 }, ADDED)
  await settled()
  const [peer] = node.peers.list
  native.calls = []
  return { node, native, peer }
}

/** Resolves once all pushed items are dispatched (unless a handler blocks). */
async function settled() {
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
}

module.exports = { ADDED, PEER, fakeNetwork, fakeNode, settled }
