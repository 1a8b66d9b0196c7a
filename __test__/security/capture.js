'use strict'

const { execFileSync, spawn } = require('node:child_process')
const net = require('node:net')
const { event, poll } = require('../support/wait')

/** What is written, in the clear, when all that is to be captured was sent. */
const END = 'the-end-of-the-capture'

/** Why tcpdump cannot be used here, or null. In CI it must be: there it throws. */
function cannotCapture() {
  try {
    execFileSync('tcpdump', ['--version'], { stdio: 'pipe' })
    if (process.getuid() !== 0) throw new Error('it needs root')
    return null
  } catch (error) {
    const reason = `no tcpdump here: ${error.message}`
    if (process.env.CI === 'true') throw new Error(reason)
    return reason
  }
}

/** What tcpdump records on loopback to and from one port. */
class Capture {
  static async start(t, port) {
    const capture = new Capture(port)
    t.after(() => capture.child.kill('SIGKILL'))
    const isReady = () => capture.told.includes('listening on')
    await poll(isReady, 10_000, 'tcpdump listens')
    return capture
  }

  constructor(port) {
    this.port = port
    this.bytes = ''
    this.told = ''
    const options = ['-i', 'lo', '-U', '--immediate-mode', '-w', '-', 'tcp', 'port', `${port}`]
    this.child = spawn('tcpdump', options, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.child.stdout.setEncoding('latin1').on('data', (text) => {
      this.bytes += text
    })
    this.child.stderr.setEncoding('utf8').on('data', (text) => {
      this.told += text
    })
  }

  /** Waits until everything up to now was recorded, and returns it as latin1 text. */
  async end() {
    // On a busy machine the system may drop what it cannot record in time: the end is said again.
    const say = async () => {
      const socket = net.connect(this.port, '127.0.0.1')
      socket.on('error', () => {}).resume()
      await event(socket, 'connect')
      socket.end(END)
      return this.bytes.includes(END)
    }
    await poll(say, 10_000, 'the capture has the end', 200)
    this.child.kill()
    return this.bytes
  }
}

module.exports = { Capture, cannotCapture }
