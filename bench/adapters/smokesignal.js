'use strict'

const smoke = require('../..')

exports.title = 'smokesignal'

Object.assign(exports, contestant({}))

/** `extra`: options beside the defaults, which give the overlay that applications get. */
function contestant(extra) {
  async function start(options) {
    const node = smoke.createNode({ address: '127.0.0.1', ...extra, ...options })
    await node.start()
    return node
  }

  async function publisher({ port, receivers }) {
    const node = await start({ port })
    return {
      isReady: () => node.peers.list.length >= receivers,
      send: (message) => node.broadcast.emit('message', message),
      room: () => new Promise((resolve) => node.broadcast.once('drain', resolve)),
    }
  }

  async function receiver({ port, hear }) {
    const node = await start({ port: 0, seeds: [{ address: '127.0.0.1', port }] })
    node.broadcast.on('message', hear)
    if (!node.connected) await new Promise((resolve) => node.once('connect', resolve))
  }

  return { publisher, receiver }
}

exports.contestant = contestant
