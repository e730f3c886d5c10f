using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Samples.Library;

/// <summary>A list of the last packets' lengths, newest first, in memory that the process reads as its own.</summary>
public sealed class RememberLengths : XdpProgram
{
    private const ulong Nodes = 100;

    /// <summary>Two pages: the head of the list, a count, then the nodes.</summary>
    public Arena Memory { get; } = new(2);

    public ArenaPointer<ArenaPointer<Node>> Head => Memory.At<ArenaPointer<Node>>(0);

    public override unsafe XdpAction Run(ref XdpContext context)
    {
        // Nodes are used in turn; the oldest is the end of the list once it is taken again.
        var number = Interlocked.Increment(ref Memory.At<ulong>(8).Value) % Nodes;
        var node = Memory.At<Node>(4096).Plus((long)number);
        node.Value.Length = (uint)(context.DataEnd - context.Data);
        node.Value.Next = Head.Value;
        Head.Value = node;
        return XdpAction.Pass;
    }

    public struct Node
    {
        public ArenaPointer<Node> Next;
        public ulong Length;
    }
}
