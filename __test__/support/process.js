'use strict'

const { spawn } = require('node:child_process')
const path = require('node:path')
const { Watched, within } = require('./wait')

const PROGRAM = path.join(__dirname, 'program.js')

/** Children that still run; none of them outlives the test process. */
const running = new Set()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/**
 * Starts a program and keeps what it says. With `namespace` it runs in that network namespace
 * (`ip netns exec` replaces itself, so the pid and the IPC channel are the program's own). With
 * `descriptors` it may open no more files than that. `runtime` is the command that runs it.
 */
function launch(
  args,
  { namespace, descriptors, env, ipc = false, execArgv = [], cwd, runtime } = {},
) {
  const command = [...(runtime ?? [process.execPath, '--no-deprecation', ...execArgv]), ...args]
  // The shell lowers the limit and becomes the program.
  if (descriptors) command.unshift('sh', '-c', `ulimit -n ${descriptors}; exec "$@"`, 'sh')
  if (namespace) command.unshift('ip', 'netns', 'exec', namespace)
  const child = spawn(command[0], command.slice(1), {
    cwd,
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, NODE_OPTIONS: undefined, ...env },
    stdio: ['pipe', 'pipe', 'pipe', ...(ipc ? ['ipc'] : [])],
  })
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

/** Text with the ends of lines that Linux has. */
function unified(text) {
  return text.replaceAll('\r\n', '\n')
}

/** A program that talks over its standard streams. */
class Program extends Watched {
  constructor(args, options) {
    super()
    this.out = ''
    this.err = ''
    this.exit = null
    this.started = process.hrtime.bigint()
    this.child = launch(args, options)
    this.pid = this.child.pid
    this.child.stdout.setEncoding('utf8').on('data', (text) => {
      this.out = unified(this.out + text)
      this.changed()
    })
    this.child.stderr.setEncoding('utf8').on('data', (text) => {
      this.err = unified(this.err + text)
      this.changed()
    })
    // 'close': after the last of its output, unlike 'exit'.
    this.child.on('close', (code, signal) => {
      this.exit = { code, signal }
      this.changed()
    })
    this.child.on('error', (error) => {
      this.exit = { code: error.code, signal: null }
      this.changed()
    })
    this.child.stdin.on('error', () => {})
  }

  dump() {
    return `pid ${this.pid}, exit ${JSON.stringify(this.exit)}\nstdout: ${this.out.slice(-2000)}\nstderr: ${this.err.slice(-2000)}`
  }

  type(text) {
    this.child.stdin.write(text)
  }

  exited(ms = 5000) {
    return this.until(() => this.exit, ms, 'the program exits')
  }

  signal(name) {
    this.child.kill(name)
  }

  async kill() {
    if (!this.exit) this.child.kill('SIGKILL')
    await this.exited()
  }
}

/** A node in a process of its own; see program.js. */
class RemoteNode extends Program {
  static async start(kind, options, launchOptions = {}) {
    const node = new RemoteNode(kind, options, launchOptions)
    await node.ready()
    await node.begin()
    return node
  }

  /** `program`: another one that takes commands as program.js does. */
  constructor(kind, options, { program = PROGRAM, ...launchOptions } = {}) {
    super([program, kind], { ...launchOptions, ipc: true })
    this.kind = kind
    this.name = `${kind}:${options.port ?? 'any'}`
    this.options = options
    this.address = options.address
    this.requests = new Map()
    this.sent = 0
    /** Lines of stream chunks, broadcast events, direct events: in the order of arrival. */
    this.chunks = []
    this.events = []
    this.directs = []
    this.log = []
    this.errors = []
    this.uncaught = []
    /** Every other report, such as `connect`. */
    this.history = []
    this.peers = []
    /** The ids of the members it knows. */
    this.members = []
    this.child.on('message', (message) => this.#told(message))
  }

  #told(message) {
    if ('n' in message) {
      const { resolve, reject } = this.requests.get(message.n)
      this.requests.delete(message.n)
      if (message.error) reject(new Error(`${this.name}: ${message.error}`))
      else resolve(message.value)
      return
    }
    const { t } = message
    if (t === 'ready') this.isReady = true
    else if (t === 'chunk') this.chunks.push(message.line)
    else if (t === 'event') this.events.push(message.event)
    else if (t === 'direct') this.directs.push({ from: message.from, event: message.event })
    else if (t === 'log') this.log.push(message)
    else if (t === 'error') this.errors.push(message.error)
    else if (t === 'uncaught') this.uncaught.push(message.error)
    else this.history.push(message)
    if (message.peers) this.peers = message.peers
    if (message.members) this.members = message.members
    this.changed()
  }

  /** Its process runs; the node does not yet. */
  ready(ms = 10000) {
    return this.until(() => this.isReady || this.exit, ms, `${this.name} is ready`)
  }

  /** Starts the node. */
  async begin() {
    const { id, port } = await this.command('start', { options: this.options })
    this.id = id
    this.port = port
  }

  dump() {
    const state = {
      node: `${this.name} id ${this.id}`,
      peers: this.peers,
      chunks: this.chunks.slice(-20),
      events: this.events.slice(-20),
      directs: this.directs.slice(-20),
      history: this.history.slice(-20).map((m) => `${m.t} ${m.id ?? m.count ?? ''}`),
      errors: this.errors,
      uncaught: this.uncaught,
    }
    const log = this.log.slice(-25).map((l) => `  ${l.level}: ${l.text}`)
    return `${JSON.stringify(state, null, 1)}\nlog:\n${log.join('\n')}\n${super.dump()}`
  }

  /** Has the node do something; resolves to what it answers. */
  command(command, more = {}, ms = 5000) {
    const n = ++this.sent
    const answer = new Promise((resolve, reject) => {
      this.requests.set(n, { resolve, reject })
      this.child.send({ n, command, ...more }, (error) => error && reject(error))
    })
    return within(answer, ms, `${this.name} answers "${command}"`, () => this.dump())
  }

  write(...lines) {
    return this.command('write', { lines })
  }

  broadcast(...events) {
    return this.command('emit', { events })
  }

  addPeer(other) {
    return this.command('addPeer', { address: other.address, port: other.port })
  }

  /** Log lines of these levels. */
  logged(...levels) {
    return this.log.filter((entry) => levels.includes(entry.level)).map((entry) => entry.text)
  }
}

/** Kills what is left of these; for `t.after`. */
async function killAll(programs) {
  await Promise.all(programs.map((program) => program?.kill()))
}

module.exports = { Program, RemoteNode, killAll, launch }
