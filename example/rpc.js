'use strict'
// Questions and answers. Each process answers, and asks the others when a line is typed:
//
//   node example/rpc.js anna

const { startLocal } = require('./local')

const name = process.argv[2] ?? `guest ${process.pid}`

async function main() {
  const node = await startLocal((node) => {
    node.handle('square', ({ from }, x) => {
      console.log(`${from} asks for the square of ${x}`)
      if (typeof x !== 'number')
        throw Object.assign(new TypeError('not a number'), { code: 'E_NUMBER' })
      return x * x
    })
    node.handle('name', () => name)
    node.handle('slow', () => new Promise(() => {}))
  })
  await node.ready({ members: 2 })

  // Any node that handles it.
  console.log('the square of 12 is', await node.request('square', 12))

  // A certain node. What its handler throws comes back as an error.
  const other = [...node.members.values()].find(({ self }) => !self)
  await node
    .to(other.id)
    .emitWithAck('square', 'twelve')
    .catch((error) => console.log(error.code, error.remoteCode, error.message))

  // Everyone at once.
  const { replies } = await node.broadcast.timeout(2000).emitWithAck('name')
  console.log('here are', ...replies.values())

  // Nobody waits for ever.
  await node
    .to(other.id)
    .timeout(200)
    .emitWithAck('slow')
    .catch((error) => console.log(error.code))
}

main()
