namespace Skep.Bpf.Twin.Captures;

/// <summary>A capture file is not what it claims to be.</summary>
/// <param name="offset">Byte offset of the bad field or record.</param>
/// <param name="problem">What is wrong, as a sentence.</param>
public sealed class CaptureFormatException(long offset, string problem) : Exception($"{problem} (at byte {offset} of the capture)")
{
    /// <summary>Byte offset of the bad field or record.</summary>
    public long Offset { get; } = offset;
}
