'use strict'

// A chat that is a pipe: `chat.js [port of a seed]`. Says on stderr how it goes.

const { createNode } = require('smokesignal')

const address = '127.0.0.1'
const seeds = process.argv.slice(2).map((port) => ({ address, port: Number(port) }))
const node = createNode({ address, seeds })
node.on('connect', () => console.error('connected'))
process.stdin.pipe(node.broadcast).pipe(process.stdout)
process.stdin.on('end', () => node.stop())
node.start().then(() => console.error(`listens at ${node.options.port}`))
