'use strict'

exports.title = 'ZeroMQ'
exports.requires = 'zeromq'

// No high-water mark: a publisher drops messages at it, and this is about those that arrive.
const unlimited = { sendHighWaterMark: 0, receiveHighWaterMark: 0 }

exports.publisher = async ({ port }) => {
  const { Publisher } = require('zeromq')
  const { sendHighWaterMark } = unlimited
  const socket = new Publisher({ sendHighWaterMark })
  await socket.bind(`tcp://127.0.0.1:${port}`)
  let queue = []
  return {
    isReady: () => true,
    send(message) {
      queue.push(JSON.stringify(message))
      return true
    },
    // One send at a time is all its API allows.
    async endOfTick() {
      const texts = queue
      queue = []
      for (const text of texts) await socket.send(text)
    },
    room: () => {},
  }
}

exports.receiver = async ({ port, hear }) => {
  const { Subscriber } = require('zeromq')
  const { receiveHighWaterMark } = unlimited
  const socket = new Subscriber({ receiveHighWaterMark })
  socket.connect(`tcp://127.0.0.1:${port}`)
  socket.subscribe()
  ;(async () => {
    for await (const [text] of socket) hear(JSON.parse(text.toString()))
  })()
}
