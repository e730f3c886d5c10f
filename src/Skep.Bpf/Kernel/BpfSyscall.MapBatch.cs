using System.Runtime.InteropServices;

namespace Skep.Bpf.Kernel;

/// <summary>
/// Attributes of the batch calls (kernel 5.6), 56 bytes.
/// <code>
///  0 in_batch:8   8 out_batch:8   16 keys:8   24 values:8
/// 32 count:4     36 map_fd:4      40 elem_flags:8   48 flags:8
/// </code>
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct MapBatchAttributes
{
    internal void* InBatch;
    internal void* OutBatch;
    internal void* Keys;
    internal void* Values;
    internal uint Count;
    internal int Map;
    internal ulong ElementFlags;
    internal ulong Flags;
}

internal static unsafe partial class BpfSyscall
{
    internal static int MapLookupBatch(ref MapBatchAttributes attributes) => Call(BpfCommand.MapLookupBatch, ref attributes);

    internal static int MapLookupAndDeleteBatch(ref MapBatchAttributes attributes) => Call(BpfCommand.MapLookupAndDeleteBatch, ref attributes);

    internal static int MapDeleteBatch(ref MapBatchAttributes attributes) => Call(BpfCommand.MapDeleteBatch, ref attributes);

    internal static int MapUpdateBatch(ref MapBatchAttributes attributes) => Call(BpfCommand.MapUpdateBatch, ref attributes);
}
