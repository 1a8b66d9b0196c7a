'use strict'

const { freePort } = require('./ports')
const { poll } = require('./wait')
const smoke = require('../..')

/**
 * A node of this package in this very process, listening on loopback; stopped after the test.
 * What happens to it is kept in `node.seen`.
 */
async function startOwn(t, options = {}) {
  const node = smoke.createNode({
    address: '127.0.0.1',
    port: await freePort(),
    minPeerNo: 1,
    ...options,
  })
  node.seen = { events: [], chunks: [] }
  for (const name of ['connect', 'disconnect', 'netsplit', 'netsplit resolved']) {
    node.on(name, () => node.seen.events.push(name))
  }
  node.peers.on('add', (peer) => node.seen.events.push(`add ${peer.id}`))
  node.peers.on('remove', (peer) => node.seen.events.push(`remove ${peer.id}`))
  node.broadcast.on('chat', (...args) => node.seen.events.push(['chat', ...args]))
  node.broadcast.on('data', (chunk) => node.seen.chunks.push(chunk.toString('utf8')))
  t.after(() => node.stop())
  node.start()
  await poll(() => node.listening, 5000, 'the node listens', 2)
  return node
}

/** What the application heard: the `chat` events. */
const heard = (node) => node.seen.events.filter(Array.isArray)

module.exports = { heard, poll, startOwn }
