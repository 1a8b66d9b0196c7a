'use strict'
// Says hello to everyone. Run it in two terminals or more:
//
//   node example/hello.js

const { startLocal } = require('./local')

startLocal((node) => {
  node.broadcast.on('hello', (pid) => console.log(`process ${pid} says hello`))
  node.on('connect', () => node.broadcast.emit('hello', process.pid))
})
