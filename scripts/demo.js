'use strict'
// Three people in three processes talk through the chat, and every line must appear exactly once
// at the two others.

const { spawn } = require('node:child_process')
const { EventEmitter, once } = require('node:events')
const net = require('node:net')
const readline = require('node:readline')
const { root } = require('./run')

const DEADLINE_MS = 60_000

const CONVERSATION = [
  ['anna', 'Is anybody there?'],
  ['ben', 'Here! I came in through you.'],
  ['cleo', 'Me too. And there is no server in between?'],
  ['anna', 'None. Three processes that talk to each other.'],
  ['ben', 'Does everything get through? 日本語, žluťoučký kůň, 👋'],
  ['cleo', 'Once, and in order.'],
]

/** Resolves to an exit code. */
async function demo() {
  console.log('Three processes hold a conversation:')
  const people = []
  let timer
  const deadline = new Promise((_, reject) => {
    const late = () => reject(new Error(`not finished within ${DEADLINE_MS / 1000} s`))
    timer = setTimeout(late, DEADLINE_MS)
  })
  try {
    await Promise.race([converse(people), deadline])
    for (const person of people) person.verify()
  } catch (error) {
    console.error(`The demo failed: ${error.message}`)
    for (const person of people) person.dump()
    return 1
  } finally {
    clearTimeout(timer)
    for (const person of people) person.child.kill('SIGKILL')
  }
  console.log('Every line arrived exactly once at the two others.')
  return 0
}

async function converse(people) {
  const port = await freePort()
  const enter = (name, ...args) => {
    const person = new Person(name, [...args, '--seed', `127.0.0.1:${port}`])
    people.push(person)
    return person
  }
  const anna = enter('anna', String(port))
  await anna.sees((line) => line.startsWith('You are anna'))
  console.log(`  anna is the seed, at 127.0.0.1:${port}; ben and cleo join`)
  const guests = [enter('ben', '0'), enter('cleo', '0')]
  // Each is connected to the network, and the seed knows that both are.
  await Promise.all([
    ...guests.map((guest) => guest.sees((line) => line.startsWith('Connected.'))),
    ...guests.map(({ name }) => anna.sees((line) => line === `* ${name} has joined`)),
  ])

  for (const [name, text] of CONVERSATION) {
    const speaker = people.find((person) => person.name === name)
    const others = people.filter((person) => person !== speaker)
    console.log(`  ${name}: ${text}`)
    speaker.types(text)
    await Promise.all(others.map((other) => other.sees((line) => line === `${name}: ${text}`)))
  }

  // Whoever leaves says so, and its process ends by itself.
  for (const person of people.toReversed()) {
    person.types('/quit')
    await person.left
  }
}

/** One process that runs the chat. */
class Person extends EventEmitter {
  constructor(name, args) {
    super()
    this.name = name
    this.lines = []
    this.child = spawn(process.execPath, ['scripts/chat.js', ...args, '--nick', name], {
      cwd: root,
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.left = once(this.child, 'close').then(([code]) => this.#closed(code))
    this.left.catch(() => {}) // looked at when the others have had their say
    this.child.stdin.on('error', () => {}) // the process has died, which `left` tells
    readline.createInterface({ input: this.child.stdout }).on('line', (line) => {
      this.lines.push(line)
      this.emit('line', line)
    })
  }

  types(text) {
    this.child.stdin.write(`${text}\n`)
  }

  /** Resolves when a line for which `test` is true has been printed. */
  async sees(test) {
    const seen = async () => {
      while (!this.lines.some(test)) await once(this, 'line')
    }
    const gone = this.left.then(() => {
      throw new Error(`${this.name} left too early`)
    })
    await Promise.race([seen(), gone])
  }

  /** Throws unless this person saw what the others said, all of it, once, and in order. */
  verify() {
    const expected = CONVERSATION.filter(([name]) => name !== this.name)
    const wanted = expected.map(([name, text]) => `${name}: ${text}`)
    const got = this.lines.filter((line) => /^(anna|ben|cleo): /.test(line))
    if (JSON.stringify(got) !== JSON.stringify(wanted)) {
      throw new Error(`${this.name} saw ${JSON.stringify(got)}, not ${JSON.stringify(wanted)}`)
    }
  }

  dump() {
    console.error(`${this.name} saw:${this.lines.map((line) => `\n  ${line}`).join('')}`)
  }

  #closed(code) {
    if (code !== 0) throw new Error(`the process of ${this.name} ended with ${code ?? 'a signal'}`)
  }
}

/** A port that was free a moment ago, so that a running chat is left alone. */
async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

module.exports = { demo }
