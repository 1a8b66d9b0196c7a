'use strict'
// A network for those who know the secret. Everyone else is refused.
//
//   export SMOKE_SECRET=$(openssl rand -hex 32)      the same in each terminal
//   node example/closed-network.js

const { startLocal } = require('./local')

const secret = Buffer.from(process.env.SMOKE_SECRET ?? '', 'hex')
if (secret.length !== 32) {
  console.error('SMOKE_SECRET must be 64 hexadecimal digits: openssl rand -hex 32')
  process.exit(2)
}

function prepare(node) {
  node.broadcast.on('hello', (id) => console.log(`member ${id} says hello`))
  node.on('connect', () => node.broadcast.emit('hello', node.id))
  node.on('refused', ({ reason }) => console.log(`refused a connection: ${reason}`))
  node.on('outside', (seeds) => {
    for (const seed of seeds) console.log(`not in yet: ${seed.reason}`)
  })
}

startLocal(prepare, { secret })
