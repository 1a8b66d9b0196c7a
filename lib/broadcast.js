'use strict'

const { Channel } = require('./channel')

/** The channel to every other node of the network. A node does not hear its own broadcasts. */
class Broadcast extends Channel {
  constructor(node, crossing, handle, { maxMessageSize, onLost }) {
    // The two halves are separate: the end of our input must not end what others send.
    super(crossing, handle, { maxMessageSize, allowHalfOpen: true, onLost })
    this.node = node
  }

  /** Whether the stream is closed. */
  get closed() {
    return this.stream.closed
  }
}

module.exports = { Broadcast }
