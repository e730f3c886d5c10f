using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Skep.Resources.Reading;

/// <summary>
/// Reads YAML text into nodes. Anchors and aliases are refused, so that a small file cannot unfold into a huge one,
/// and size, depth and number of nodes are bounded before anything is built from them.
/// </summary>
internal static class DocumentReader
{
    internal const int MaxCharacters = 16 << 20;
    internal const int MaxNodes = 1 << 20;
    internal const int MaxDepth = 16;

    public static List<Node> Read(string file, string text, ProblemList problems)
    {
        var documents = new List<Node>();
        if (text.Length > MaxCharacters)
        {
            problems.Error(
                new ResourceSource(file, 1, 1), "file-too-large", $"{text.Length >> 20} MiB of YAML", $"split it: a file may have {MaxCharacters >> 20} MiB");
            return documents;
        }

        var parser = new Parser(new StringReader(text));
        try
        {
            new Builder(file, parser, documents).Build();
        }
        catch (LimitException e)
        {
            problems.Error(Place(file, e.Mark), e.Id, e.Message, e.Advice);
        }
        catch (YamlException e)
        {
            problems.Error(Place(file, e.Start), "bad-yaml", Node.Quote(e.InnerException?.Message ?? e.Message, 200).TrimEnd('.'), "mend the YAML syntax");
        }

        // The scanner gives up on some malformed text with these instead of a YamlException.
        catch (Exception e) when (e is InvalidOperationException or ArgumentException or IndexOutOfRangeException or FormatException or OverflowException)
        {
            problems.Error(Place(file, parser.Current?.End ?? Mark.Empty), "bad-yaml", "the YAML cannot be read from here on", "mend the YAML syntax");
        }

        return documents;
    }

    private static ResourceSource Place(string file, Mark mark) => new(file, (int)Math.Max(1, mark.Line), (int)Math.Max(1, mark.Column));

    private sealed class LimitException(Mark mark, string id, string message, string advice) : Exception(message)
    {
        public Mark Mark { get; } = mark;

        public string Id { get; } = id;

        public string Advice { get; } = advice;
    }

    private sealed class Builder(string file, IParser parser, List<Node> documents)
    {
        private readonly Stack<(Node Node, Node? Key)> _open = new();
        private int _nodes;

        public void Build()
        {
            while (parser.MoveNext())
            {
                Take(parser.Current!);
            }
        }

        private void Take(ParsingEvent e)
        {
            switch (e)
            {
                case AnchorAlias alias:
                    throw new LimitException(alias.Start, "alias", "anchors and aliases are not taken", "write the value out");
                case NodeEvent { Anchor.IsEmpty: false } anchored:
                    throw new LimitException(anchored.Start, "alias", "anchors and aliases are not taken", "write the value out");
                case Scalar scalar:
                    Attach(new Node(NodeKind.Scalar, Place(file, scalar.Start)) { Text = scalar.Value, Plain = scalar.Style == ScalarStyle.Plain });
                    break;
                case SequenceStart start:
                    Open(new Node(NodeKind.List, Place(file, start.Start)), start.Start);
                    break;
                case MappingStart start:
                    Open(new Node(NodeKind.Map, Place(file, start.Start)), start.Start);
                    break;
                case SequenceEnd or MappingEnd:
                    Attach(_open.Pop().Node, counted: true);
                    break;
            }
        }

        private void Open(Node node, Mark mark)
        {
            if (_open.Count >= MaxDepth)
            {
                throw new LimitException(mark, "too-deep", $"nested more than {MaxDepth} levels deep", "resources are never that deep; look for a slip in the indentation");
            }

            Count(mark);
            _open.Push((node, null));
        }

        private void Count(Mark mark)
        {
            if (++_nodes > MaxNodes)
            {
                throw new LimitException(mark, "file-too-large", $"more than {MaxNodes} values", "split the file");
            }
        }

        private void Attach(Node node, bool counted = false)
        {
            if (!counted)
            {
                Count(parser.Current!.Start);
            }

            if (_open.Count == 0)
            {
                documents.Add(node);
                return;
            }

            var (parent, key) = _open.Pop();
            if (parent.Kind == NodeKind.List)
            {
                parent.Items.Add(node);
                key = null;
            }
            else if (key is null)
            {
                key = node;
            }
            else
            {
                parent.Fields.Add(new(key, node));
                key = null;
            }

            _open.Push((parent, key));
        }
    }
}
