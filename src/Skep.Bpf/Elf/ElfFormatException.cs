namespace Skep.Bpf.Elf;

/// <summary>An object file is damaged, or of a kind this reader does not take; the message says what and where.</summary>
public sealed class ElfFormatException : Exception
{
    /// <summary>An exception about the bytes at <paramref name="offset"/> of the file.</summary>
    public ElfFormatException(string message, long offset, Exception? inner = null)
        : base($"{message} (at byte {offset} of the file)", inner) => Offset = offset;

    /// <summary>Where in the file, in bytes.</summary>
    public long Offset { get; }
}
