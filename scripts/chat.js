'use strict'
// The chat of `npm start`. The first one on a machine is the seed; others enter through it.

const { parseArgs } = require('node:util')
const smoke = require('smokesignal')
const { Terminal, printable } = require('./chat-terminal')

const USAGE = `The chat. Run it in two terminals: the first one is the seed, the second one joins it.

  npm start -- [port] [options]

  port                   the port to listen on; default: the seed's, or any free one
  --nick NAME            your name
  --seed ADDRESS:PORT    a chat to join; default 127.0.0.1:8495
  --subnet SUBNET        the network to listen in, such as 192.168.2.0/24; default 127.0.0.0/8
  --demo                 show a conversation of three processes, and end
  --help                 show this

While you chat, /help lists the commands.`

const COMMANDS = `/help   this list
/quit   leave (Ctrl+C and Ctrl+D do the same)
Everything else is said to everyone. To begin a line with a slash, write two.`

/** What became of an attempt to enter through the seed, and what to do. Null: nothing to say. */
function explain({ reason }, place) {
  const other =
    'Start the chat on another port: "npm start -- 9000" in the first terminal, ' +
    '"npm start -- --seed 127.0.0.1:9000" in the others.'
  const said = {
    'not smokesignal': `Another program listens at ${place}, so nobody can join there. ${other}`,
    'no answer': `${place} does not answer. Another program may listen there, or a firewall may be in between. ${other}`,
    closed: `${place} closed the connection. It is another program or a closed network. ${other}`,
    refused: `Nothing listens at ${place}. Still trying.`,
    unreachable: `There is no route to ${place}. Still trying.`,
    'unknown name': `The name in ${place} is unknown. Still trying.`,
    secret: `${place} belongs to a closed network. ${other}`,
    network: `${place} belongs to another network. ${other}`,
    full: `Nobody there has room for one more. Still trying.`,
  }
  return said[reason] ?? null
}

/** A sentence for the person in front of the terminal, and the exit code. */
class Complaint extends Error {
  constructor(message, exitCode = 2) {
    super(message)
    this.exitCode = exitCode
  }
}

function readArguments(args) {
  const { values, positionals } = parse(args)
  if (values.help) return { help: true }
  if (positionals.length > 1) {
    throw new Complaint(`One port is enough; I got ${positionals.join(' ')}.`)
  }
  const [address, port] = readSeed(values.seed)
  return {
    nick: printable(values.nick, 40).trim() || `guest-${process.pid}`,
    seed: { address, port },
    port: positionals.length === 1 ? readPort(positionals[0], 0) : undefined,
    address: readSubnet(values.subnet),
  }
}

function parse(args) {
  const text = (value) => ({ type: 'string', default: value })
  try {
    return parseArgs({
      args,
      options: {
        nick: text(''),
        seed: text('127.0.0.1:8495'),
        subnet: text('127.0.0.1/8'),
        help: { type: 'boolean', short: 'h', default: false },
      },
      allowPositionals: true,
    })
  } catch (error) {
    const [option] = /--\w[\w-]*|-\w/.exec(error.message) ?? ['An option']
    if (error.code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
      throw new Complaint(`There is no option ${option}.`)
    }
    const takesNone = /does not take/.test(error.message)
    throw new Complaint(`${option} ${takesNone ? 'takes no' : 'needs a'} value.`)
  }
}

function readSeed(seed) {
  const [, address, port] = /^\[?(.+?)\]?:(\d+)$/.exec(seed) ?? []
  if (address === undefined) {
    throw new Complaint(
      `--seed takes an address and a port, such as 127.0.0.1:8495, not "${seed}".`,
    )
  }
  return [address, readPort(port, 1)]
}

function readPort(text, least) {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1
  if (port >= least && port <= 65535) return port
  throw new Complaint(`A port is a number from ${least} to 65535, not "${text}".`)
}

function readSubnet(subnet) {
  try {
    return smoke.localIp(subnet)
  } catch (error) {
    if (error.code === 'ERR_SMOKE_SUBNET') {
      throw new Complaint(`--subnet takes a network such as 192.168.2.0/24, not "${subnet}".`)
    }
    if (error.code !== 'ERR_SMOKE_NO_ADDRESS') throw error
    const [, seen] = / among (.*)$/.exec(error.message) ?? []
    throw new Complaint(`This machine has no address in ${subnet}. It has ${seen ?? 'none'}.`)
  }
}

class Chat {
  constructor({ nick, seed, port, address }, terminal) {
    Object.assign(this, { nick, seed, port, address, terminal })
    this.born = process.hrtime.bigint()
    this.leaving = false
    this.announced = false
    this.welcomed = false
    this.told = null
  }

  /** Resolves when the person has left. */
  run() {
    return new Promise((resolve, reject) => {
      this.fail = reject
      this.terminal.listen({
        line: (line) => this.entered(line),
        end: () => this.leave().then(resolve, reject),
      })
      this.enter(this.port ?? this.seed.port)
    })
  }

  enter(port) {
    const { address, seed } = this
    this.node = smoke.createNode({ address, port, seeds: [seed] })
    this.hear()
    this.node.on('connect', () => {
      this.welcome()
      this.show('Connected. Happy chatting!')
    })
    this.node.on('disconnect', () => {
      if (!this.leaving) this.show('Everyone has gone. Waiting for others...')
    })
    this.node.on('outside', (seeds) => this.outside(seeds))
    this.node.on('error', (error) => this.couldNotListen(error, port))
    this.node.start().then(
      () => this.welcome(),
      () => {}, // the 'error' event tells
    )
  }

  hear() {
    const { broadcast, peers } = this.node
    broadcast.on('chat', (name, line) => this.show(`${printable(name, 40)}: ${printable(line)}`))
    broadcast.on('join', (name) => this.show(`* ${printable(name, 40)} has joined`))
    broadcast.on('leave', (name) => this.show(`* ${printable(name, 40)} has left`))
    peers.on('add', (peer) => {
      // Both sides compare the same two ages, so exactly one of them is the newcomer.
      const age = Number((process.hrtime.bigint() - this.born) / 1_000_000n)
      const own = [age, this.node.id]
      peer.once('hello', (name, theirs) =>
        this.met(printable(name, 40), [Number(theirs), peer.id], own),
      )
      peer.emit('hello', this.nick, age)
    })
  }

  /** A neighbour introduces itself. The younger of the two tells everyone that it has joined. */
  met(name, [age, id], [ownAge, ownId]) {
    const isOlder = age === ownAge ? id < ownId : age > ownAge
    if (!isOlder) return
    this.show(`* ${name} is here`)
    if (this.announced) return
    this.announced = true
    this.node.broadcast.emit('join', this.nick)
  }

  welcome() {
    if (this.welcomed) return
    this.welcomed = true
    const { address, port } = this.node.options
    this.show(`You are ${this.nick}, at ${address}:${port}.`)
    if (!this.node.connected) this.show('Waiting for others...')
  }

  /** Says why nobody is there, once for each reason. */
  outside(seeds) {
    const { address, port } = this.seed
    const place = `${address.includes(':') ? `[${address}]` : address}:${port}`
    const [{ reason, text } = {}] = seeds
      .map((seed) => ({ ...seed, text: explain(seed, place) }))
      .filter(({ text }) => text !== null)
    // A foreign program may also be silent, or close the connection.
    const isKnown = this.told === 'not smokesignal' && ['no answer', 'closed'].includes(reason)
    if (reason === undefined || reason === this.told || isKnown) return
    this.told = reason
    this.show(text)
  }

  couldNotListen(error, port) {
    // Somebody else is the seed already: any other port will do, unless one was asked for.
    if (error.code === 'EADDRINUSE' && this.port === undefined && port !== 0) return this.enter(0)
    const why = {
      EADDRINUSE: `Port ${port} is in use. Choose another, or leave it out.`,
      EACCES: `Port ${port} needs more rights than you have. Choose one above 1023.`,
    }
    this.fail(new Complaint(why[error.code] ?? `The chat cannot listen: ${error.message}.`, 1))
  }

  entered(line) {
    if (line.trim() === '') return
    if (line === '/quit') return this.terminal.close()
    if (line === '/help') return this.show(COMMANDS)
    if (/^\/[^/]/.test(line) || line === '/') {
      return this.show(`There is no command ${line.split(' ')[0]}. /help lists them.`)
    }
    if (!this.node.connected) return this.show('Nobody is here yet, so nobody heard that.')
    this.node.broadcast.emit('chat', this.nick, line.replace(/^\/\//, '/'))
  }

  async leave() {
    this.leaving = true
    if (this.node.connected) this.node.broadcast.emit('leave', this.nick)
    await this.node.stop()
  }

  show(text) {
    this.terminal.show(text)
  }
}

async function main(args) {
  let terminal
  try {
    const options = readArguments(args)
    if (options.help) return console.log(USAGE)
    terminal = new Terminal()
    await new Chat(options, terminal).run()
  } catch (error) {
    if (!(error instanceof Complaint)) throw error
    terminal?.close()
    console.error(`${error.message}\n"npm start -- --help" lists the options.`)
    process.exitCode = error.exitCode
  }
}

if (require.main === module) main(process.argv.slice(2))

module.exports = { readArguments, USAGE }
