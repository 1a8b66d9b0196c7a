'use strict'

const { execFileSync, execFile, spawn } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')
const { promisify } = require('node:util')

const run = promisify(execFile)
const ip = (...args) => run('ip', args)

let serial = 0
const left = new Set()
process.on('exit', () => {
  for (const name of left) {
    try {
      execFileSync('ip', ['netns', 'del', name], { stdio: 'ignore' })
    } catch {
      // It may be gone already; there is nobody left to tell.
    }
  }
})

/** Why network namespaces cannot be had here, or null. In CI they must be: there it throws. */
function unavailable() {
  const name = `smoke${process.pid}probe`
  try {
    if (process.platform !== 'linux') throw new Error('Linux only')
    if (process.getuid() !== 0) throw new Error('they need root')
    execFileSync('ip', ['netns', 'add', name], { stdio: 'pipe' })
    try {
      // A container may allow the namespace but not the links that go into it.
      execFileSync('ip', ['-n', name, 'link', 'add', 'probe', 'type', 'bridge'], { stdio: 'pipe' })
    } finally {
      execFileSync('ip', ['netns', 'del', name], { stdio: 'pipe' })
    }
    return null
  } catch (error) {
    const reason = `no network namespaces here: ${error.message.trim().split('\n').pop()}`
    if (process.env.CI === 'true') throw new Error(reason)
    return reason
  }
}

/**
 * A little Ethernet: one network namespace per host, each with `eth0` on a switch (a bridge in a
 * namespace of its own). Nothing of it is seen outside, so that any number can exist at once. With
 * two switches the first half of the hosts is on the one and the rest on the other, and one cable
 * joins them.
 */
class Lan {
  static async create(addresses, { prefix = 24, switches = 1 } = {}) {
    const lan = new Lan(`smoke${process.pid}n${serial++}`)
    try {
      await lan.#build(addresses, prefix, switches)
    } catch (error) {
      await lan.destroy()
      throw error
    }
    return lan
  }

  constructor(name) {
    this.bridge = `${name}br`
    this.name = name
    this.hosts = []
    this.cables = []
  }

  async #namespace(name) {
    await ip('netns', 'add', name)
    left.add(name)
  }

  async #build(addresses, prefix, switches) {
    await this.#namespace(this.bridge)
    for (let number = 0; number < switches; number++) {
      await ip('-n', this.bridge, 'link', 'add', `br${number}`, 'type', 'bridge')
      await ip('-n', this.bridge, 'link', 'set', `br${number}`, 'up')
    }
    if (switches === 2) {
      await ip('-n', this.bridge, 'link', 'add', 'trunk0', 'type', 'veth', 'peer', 'name', 'trunk1')
      await ip('-n', this.bridge, 'link', 'set', 'trunk0', 'master', 'br0', 'up')
      await ip('-n', this.bridge, 'link', 'set', 'trunk1', 'master', 'br1', 'up')
    }
    for (const [index, address] of addresses.entries()) {
      const namespace = `${this.name}h${index}`
      const port = `port${index}`
      await this.#namespace(namespace)
      this.hosts.push({ namespace, address, port })
      await ip(
        ...['-n', this.bridge, 'link', 'add', port, 'type', 'veth'],
        ...['peer', 'name', 'eth0', 'netns', namespace],
      )
      const bridge = `br${Math.floor((index * switches) / addresses.length)}`
      await ip('-n', this.bridge, 'link', 'set', port, 'master', bridge, 'up')
      await ip('-n', namespace, 'link', 'set', 'lo', 'up')
      await ip('-n', namespace, 'addr', 'add', `${address}/${prefix}`, 'dev', 'eth0')
      await ip('-n', namespace, 'link', 'set', 'eth0', 'up')
    }
  }

  /** Pulls the cable of a host, or puts it back. Its programs see silence, not an error. */
  async link(index, state) {
    await ip('-n', this.bridge, 'link', 'set', this.hosts[index].port, state)
  }

  /** Replaces a host's cable by one that delays frames, each way, and loses some at random. */
  async wear(index, { delay, loss, seed }) {
    const { port } = this.hosts[index]
    const [near, far] = [`wear${index}`, `worn${index}`]
    await ip('-n', this.bridge, 'link', 'add', near, 'type', 'veth', 'peer', 'name', far)
    await ip('-n', this.bridge, 'link', 'set', port, 'nomaster')
    await ip('-n', this.bridge, 'link', 'set', near, 'up')
    await ip('-n', this.bridge, 'link', 'set', far, 'master', 'br0', 'up')
    const program = path.join(__dirname, 'lossy.py')
    const cable = spawn(
      'ip',
      ['netns', 'exec', this.bridge, 'python3', program, port, near, delay, loss, seed].map(String),
      { stdio: ['pipe', 'pipe', 'inherit'] },
    )
    this.cables.push(cable)
    await once(cable.stdout, 'data')
  }

  /** The same as `link` with the cable between two switches. */
  async trunk(state) {
    await ip('-n', this.bridge, 'link', 'set', 'trunk0', state)
  }

  async destroy() {
    for (const cable of this.cables) cable.stdin.end()
    for (const name of [...this.hosts.map((host) => host.namespace), this.bridge]) {
      if (!left.has(name)) continue
      left.delete(name)
      await ip('netns', 'del', name)
    }
  }
}

module.exports = { Lan, unavailable }
