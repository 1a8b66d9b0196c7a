'use strict'
// Messages to one peer: each process asks its neighbours a question and answers theirs.
//
//   node example/direct.js anna

const { startLocal } = require('./local')

const name = process.argv[2] ?? `guest ${process.pid}`

startLocal((node) => {
  node.peers.on('add', (peer) => {
    peer.on('who are you?', () => peer.emit('I am', name))
    peer.on('I am', (other) => console.log(`${other} is next to me, at port ${peer.remotePort}`))
    peer.on('close', () => console.log('a neighbour has gone'))
    peer.emit('who are you?')
  })
})
