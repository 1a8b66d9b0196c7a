'use strict'

exports.title = 'Redis pub/sub'
exports.requires = 'redis'
exports.broker = {
  command: 'redis-server',
  args: (port) => [
    ...['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
    // Its default cuts off a subscriber that is 8 MiB behind for a minute, or 32 MiB at once.
    ...['--client-output-buffer-limit', 'pubsub 0 0 0'],
  ],
}

async function connect(port) {
  const client = require('redis').createClient({ url: `redis://127.0.0.1:${port}` })
  client.on('error', () => {})
  await client.connect()
  return client
}

exports.publisher = async ({ port }) => {
  const client = await connect(port)
  let pending = []
  return {
    isReady: () => true,
    send(message) {
      pending.push(client.publish('bench', JSON.stringify(message)))
      return pending.length < 1024
    },
    async room() {
      const answers = pending
      pending = []
      await Promise.all(answers)
    },
  }
}

exports.receiver = async ({ port, hear }) => {
  const client = await connect(port)
  await client.subscribe('bench', (text) => hear(JSON.parse(text)))
}
