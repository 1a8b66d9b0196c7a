'use strict'

/** The largest run, in bytes. Larger messages cross alone, without a copy. */
const MOST = 64 * 1024
/** How many unused buffers are kept. */
const MAX_SPARE = 4

const LENGTH = 4
// The values of `Kind` in src/proto/payload.rs.
const CHUNKS = 1
const RICH = 2

const spare = []

/**
 * Consecutive messages with bytes, on their way to the addon: stream chunks, or events with
 * attachments. They share one buffer in wire format (src/proto/payload.rs), because a call into the
 * addon costs more than copying a kilobyte.
 */
class Run {
  kind
  count = 0
  size = 0
  bytes

  constructor(kind) {
    this.kind = kind
    this.bytes = spare.pop() ?? Buffer.allocUnsafeSlow(MOST)
  }

  /** Whether a message of `size` bytes, lengths included, fits into a run. */
  static takes(size) {
    return size <= MOST
  }

  hasRoom(size) {
    return this.size + size <= MOST
  }

  addChunk(chunk) {
    this.#part(chunk)
    this.count++
  }

  addRich(json, attachments) {
    const start = this.size
    this.size += 2 * LENGTH
    const length = this.bytes.write(json, this.size)
    this.bytes.writeUInt32BE(length, start + LENGTH)
    this.size += length
    for (let index = 0; index < attachments.length; index++) this.#part(attachments[index])
    this.bytes.writeUInt32BE(this.size - start - LENGTH, start)
    this.count++
  }

  /** Releases the buffer. */
  release() {
    if (spare.length < MAX_SPARE) spare.push(this.bytes)
    this.bytes = null
  }

  #part(bytes) {
    this.bytes.writeUInt32BE(bytes.length, this.size)
    this.bytes.set(bytes, this.size + LENGTH)
    this.size += LENGTH + bytes.length
  }
}

module.exports = { CHUNKS, RICH, Run }
