//! What workers ask of AWS, operation by operation, as AWS names them.

/// Of the table.
pub const DYNAMODB: [&str; 5] = ["UpdateItem", "GetItem", "PutItem", "Query", "TransactWriteItems"];

/// Of queues.
pub const SQS: [&str; 4] = [
    "ReceiveMessage",
    "SendMessageBatch",
    "DeleteMessageBatch",
    "ChangeMessageVisibility",
];

/// Of the bucket.
pub const S3: [&str; 5] = [
    "PutObject",
    "GetObject",
    "CreateMultipartUpload",
    "UploadPart",
    "CompleteMultipartUpload",
];
