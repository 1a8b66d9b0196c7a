'use strict'

const net = require('node:net')
const { Watched } = require('../support/wait')

/**
 * A relay between two nodes, in the place of somebody on the way: records all bytes, and changes
 * those that `tamper(chunk, direction, offset)` changes.
 */
class Relay extends Watched {
  static async between(t, port, tamper = (chunk) => chunk) {
    const proxy = new Relay()
    /** What the dialling side sent on each connection, and what it was answered. */
    proxy.connections = []
    proxy.tamper = tamper
    const server = net.createServer((near) => proxy.#relay(near, port))
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    proxy.port = server.address().port
    proxy.sockets = new Set()
    t.after(() => {
      for (const socket of proxy.sockets) socket.destroy()
      return new Promise((resolve) => server.close(resolve))
    })
    return proxy
  }

  /** Everything that went through, as one Buffer. */
  get capture() {
    return Buffer.concat(this.connections.flatMap(({ out, back }) => [...out, ...back]))
  }

  #relay(near, port) {
    const far = net.connect(port, '127.0.0.1')
    const connection = { out: [], back: [], closed: false }
    this.connections.push(connection)
    this.#pass(near, far, connection, 'out')
    this.#pass(far, near, connection, 'back')
    for (const socket of [near, far]) {
      this.sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        this.sockets.delete(socket)
        near.destroy()
        far.destroy()
        connection.closed = true
        this.changed()
      })
    }
  }

  #pass(from, to, connection, direction) {
    let offset = 0
    from.on('data', (chunk) => {
      connection[direction].push(chunk)
      to.write(this.tamper(chunk, direction, offset))
      offset += chunk.length
      this.changed()
    })
  }
}

module.exports = { Relay }
