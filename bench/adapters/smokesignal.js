'use strict'

const smoke = require('../..')

exports.title = 'smokesignal'

// Default options: the overlay that applications get.
async function start(options) {
  const node = smoke.createNode({ address: '127.0.0.1', ...options })
  await node.start()
  return node
}

exports.publisher = async ({ port, receivers }) => {
  const node = await start({ port })
  return {
    isReady: () => node.peers.list.length >= receivers,
    send: (message) => node.broadcast.emit('message', message),
    room: () => new Promise((resolve) => node.broadcast.once('drain', resolve)),
  }
}

exports.receiver = async ({ port, hear }) => {
  const node = await start({ port: 0, seeds: [{ address: '127.0.0.1', port }] })
  node.broadcast.on('message', hear)
  if (!node.connected) await new Promise((resolve) => node.once('connect', resolve))
}
