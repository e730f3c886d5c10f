using System.Buffers;
using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Skep.Resources.Reading;

/// <summary>
/// What a document says as a number: half of the SHA-256 of its nodes, each as kind 1, count of entries or bytes 4, then these; never 0. Places, comments and layout do
/// not count.
/// </summary>
internal static class NodeDigest
{
    internal static UInt128 Of(Node node)
    {
        var bytes = new ArrayBufferWriter<byte>();
        Write(node, bytes);
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(bytes.WrittenSpan, hash);
        return BinaryPrimitives.ReadUInt128LittleEndian(hash) | 1;
    }

    private static void Write(Node node, ArrayBufferWriter<byte> bytes)
    {
        switch (node.Kind)
        {
            case NodeKind.List:
                Head('l', node.Items.Count, bytes);
                node.Items.ForEach(item => Write(item, bytes));
                break;
            case NodeKind.Map:
                Head('m', node.Fields.Count, bytes);
                node.Fields.ForEach(field =>
                {
                    Write(field.Key, bytes);
                    Write(field.Value, bytes);
                });
                break;
            default:
                // Quotes make a number a text.
                Head(node.Plain ? 'p' : 'q', Encoding.UTF8.GetByteCount(node.Text), bytes);
                Encoding.UTF8.GetBytes(node.Text, bytes);
                break;
        }
    }

    private static void Head(char kind, int count, ArrayBufferWriter<byte> bytes)
    {
        var head = bytes.GetSpan(5);
        head[0] = (byte)kind;
        BinaryPrimitives.WriteInt32LittleEndian(head[1..], count);
        bytes.Advance(5);
    }
}
