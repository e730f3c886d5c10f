namespace Skep.Corpus;

/// <summary>One packet of a corpus.</summary>
/// <param name="Name">Which branch it is for.</param>
/// <param name="Frame">Bytes from the Ethernet header on.</param>
/// <param name="Expected">Name of the verdict that the edge gives it when the corpus is run in order; empty for programs without verdicts.</param>
public sealed record CorpusPacket(string Name, byte[] Frame, string Expected = "")
{
    /// <inheritdoc/>
    public override string ToString() => Name;
}
