'use strict'

const smoke = require(process.env.SMOKE ?? '../..')

exports.title = 'smokesignal'

Object.assign(exports, contestant({}))

/** The default of `maxPeerNo`. More receivers than this get messages through others; `members` counts
 * the publisher, too. */
const MOST_PEERS = 5

/** `extra`: options beside the defaults, which give the overlay that applications get. */
function contestant(extra) {
  async function start(options) {
    const node = smoke.createNode({ address: '127.0.0.1', ...extra, ...options })
    await node.start()
    return node
  }

  async function publisher({ port, receivers }) {
    const node = await start({ port })
    const waited = new Set()
    return {
      isReady: () =>
        node.peers.list.length >= Math.min(receivers, MOST_PEERS) &&
        (receivers <= MOST_PEERS || node.members.size > receivers),
      send: (message) => node.broadcast.emit('message', message),
      target: ({ isDirect }) => (isDirect ? direct(node, waited) : node.broadcast),
      async room() {
        const channels = waited.size > 0 ? [...waited] : [node.broadcast]
        waited.clear()
        const drain = (channel) => new Promise((resolve) => channel.once('drain', resolve))
        await Promise.all(channels.map(drain))
      },
    }
  }

  async function receiver({ port, hear, shape }) {
    const node = await start({ port: 0, seeds: [{ address: '127.0.0.1', port }] })
    node.broadcast.on('message', hear)
    if (!node.connected) await new Promise((resolve) => node.once('connect', resolve))
    if (shape?.isDirect) for (const peer of node.peers.list) listen(peer, shape, hear)
    else if (shape) listen(node.broadcast, shape, hear)
  }

  return { publisher, receiver }
}

function listen(channel, shape, hear) {
  if (shape.raw === 'stream') return channel.on('data', hear)
  for (const name of shape.names) channel.on(name, hear)
}

/** Sends to every peer by itself; `waited` takes those that have no room. */
function direct(node, waited) {
  return {
    emit(...message) {
      for (const peer of node.peers.list) {
        if (!peer.emit(...message)) waited.add(peer)
      }
      return waited.size === 0
    },
  }
}

exports.contestant = contestant
