'use strict'

const { contestant } = require('./smokesignal')

exports.title = 'smokesignal, secret'

/** A network that is closed to strangers; all contestants know the key. */
Object.assign(exports, contestant({ secret: Buffer.alloc(32, 7) }))
