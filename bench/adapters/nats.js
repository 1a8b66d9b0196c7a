'use strict'

exports.title = 'NATS'
exports.requires = 'nats'
exports.broker = {
  command: 'nats-server',
  args: (port) => ['-a', '127.0.0.1', '-p', String(port)],
}

const connect = (port) => require('nats').connect({ servers: `127.0.0.1:${port}` })

exports.publisher = async ({ port }) => {
  const { StringCodec } = require('nats')
  const codec = StringCodec()
  const connection = await connect(port)
  let bytes = 0
  const sendBytes = (payload) => {
    connection.publish('bench', payload)
    bytes += payload.length
    return bytes < 2 ** 20
  }
  return {
    isReady: () => true,
    send: (message) => sendBytes(codec.encode(JSON.stringify(message))),
    sendBytes,
    async room() {
      // publish() has no backpressure of its own: a flush says that the server has it all.
      bytes = 0
      await connection.flush()
    },
  }
}

exports.receiver = async ({ port, hear, shape }) => {
  const { StringCodec } = require('nats')
  const codec = StringCodec()
  const connection = await connect(port)
  connection.subscribe('bench', {
    callback: (error, message) => {
      if (error) throw error
      hear(shape?.raw ? message.data : JSON.parse(codec.decode(message.data)))
    },
  })
  await connection.flush()
}
