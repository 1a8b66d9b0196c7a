'use strict'
// A chat without a server. The first one on this machine is the seed; start as many as you like:
//
//   node example/ChatApp/peer.js [port] [--nick name] [--seed address:port] [--subnet 192.168.2.0/24]

const readline = require('node:readline')
const { parseArgs } = require('node:util')
const smoke = require('smokesignal')

const { values, positionals } = parseArgs({
  options: {
    nick: { type: 'string', default: `guest-${process.pid}` },
    seed: { type: 'string', default: '127.0.0.1:8495' },
    subnet: { type: 'string', default: '127.0.0.1/8' },
  },
  allowPositionals: true,
})
const { nick } = values
const [seedAddress, seedPort] = values.seed.split(':')
const seed = { address: seedAddress, port: Number(seedPort) }
const port = positionals.length > 0 ? Number(positionals[0]) : undefined
const input = readline.createInterface({ input: process.stdin, output: process.stdout, prompt: '' })

let node
enter(port ?? seed.port)

function enter(port) {
  node = smoke.createNode({ address: smoke.localIp(values.subnet), port, seeds: [seed] })
  const { broadcast, peers } = node

  // What everyone hears...
  broadcast.on('chat', (name, line) => show(`${name}: ${line}`))
  broadcast.on('join', (name) => show(`* ${name} has joined`))
  broadcast.on('leave', (name) => show(`* ${name} has left`))

  // ...and what only a neighbour does.
  peers.on('add', (peer) => {
    peer.on('hello', (name) => show(`* ${name} is next to you`))
    peer.emit('hello', nick)
  })

  node.on('connect', () => {
    show('Connected. Happy chatting!')
    broadcast.emit('join', nick)
  })
  node.on('disconnect', () => show('Everyone has gone. Waiting for others...'))
  node.on('error', couldNotListen)
  node.start().then(welcome, () => {}) // the 'error' event tells
}

function welcome() {
  const { address, port } = node.options
  show(`You are ${nick}, at ${address}:${port}. Waiting for others...`)
}

function couldNotListen(error) {
  // Somebody else is the seed already: any other port will do, unless one was asked for.
  if (error.code === 'EADDRINUSE' && port === undefined) return enter(0)
  throw error
}

input.on('line', (line) => {
  if (line === '/quit') input.close()
  else if (line !== '') node.broadcast.emit('chat', nick, line)
})
input.on('SIGINT', () => input.close())
input.on('close', () => {
  node.broadcast.emit('leave', nick)
  node.stop()
  process.stdin.destroy() // a pipe would keep the process alive
})

/** Prints above the line that is being typed. */
function show(text) {
  if (!process.stdout.isTTY) return console.log(text)
  readline.cursorTo(process.stdout, 0)
  readline.clearLine(process.stdout, 0)
  console.log(text)
  input.prompt(true)
}
