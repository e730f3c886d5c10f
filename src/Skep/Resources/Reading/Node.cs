namespace Skep.Resources.Reading;

/// <summary>What a YAML node is.</summary>
internal enum NodeKind
{
    Scalar,
    List,
    Map,
}

/// <summary>A node of a YAML document with its place in the file.</summary>
internal sealed class Node(NodeKind kind, ResourceSource source)
{
    public NodeKind Kind { get; } = kind;

    public ResourceSource Source { get; } = source;

    /// <summary>Text of a scalar.</summary>
    public string Text { get; init; } = "";

    /// <summary>Whether the scalar was written without quotes, so that it may be a number or a boolean.</summary>
    public bool Plain { get; init; }

    public List<Node> Items { get; } = [];

    public List<KeyValuePair<Node, Node>> Fields { get; } = [];

    public bool IsNull => Kind == NodeKind.Scalar && Plain && Text is "" or "~" or "null";

    public Node? Field(string name) => Fields.Find(f => f.Key.Text == name).Value;

    /// <summary>What a person calls it, for messages.</summary>
    public string Describe() => Kind switch
    {
        NodeKind.List => "a list",
        NodeKind.Map => "an object",
        _ => IsNull ? "nothing" : $"'{Quote(Text)}'",
    };

    /// <summary>Text from a file, made safe for terminals and short enough for a message.</summary>
    public static string Quote(string text, int most = 60)
    {
        var shown = text.Length > most ? text[..(most - 3)] + "..." : text;
        return string.Concat(shown.Select(c => char.IsControl(c) ? '\uFFFD' : c));
    }
}
