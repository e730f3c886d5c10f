namespace Skep.Bpf.Twin.Maps;

internal sealed unsafe partial class TwinTrieStorage
{
    /// <summary>The kernel's order of iteration: depth first, a prefix after the more specific ones below it.</summary>
    private static class TrieOrder
    {
        public static uint First(TwinTrieStorage trie) => trie._root == 0 ? 0 : Deepest(trie, trie._root, []);

        public static uint After(TwinTrieStorage trie, byte* key)
        {
            var prefix = PrefixOf(key);
            if (trie._root == 0)
            {
                return 0;
            }

            if (prefix > trie._maxPrefix)
            {
                return First(trie);
            }

            var path = new Stack<uint>();
            var number = trie._root;
            var match = 0u;
            while (number != 0)
            {
                path.Push(number);
                match = trie.Match(trie.At(number), key);
                if (trie.At(number)->Prefix != match || trie.At(number)->Prefix == prefix)
                {
                    break;
                }

                number = trie.At(number)->Child(Bit(key + KeyHeader, trie.At(number)->Prefix));
            }

            if (number == 0 || trie.At(number)->Prefix != match || trie.At(number)->Kind == NodeKind.Intermediate)
            {
                return First(trie);
            }

            var child = path.Pop();
            while (path.TryPop(out var parent))
            {
                if (trie.At(parent)->Left == child && trie.At(parent)->Right != 0)
                {
                    path.Push(parent);
                    return Deepest(trie, trie.At(parent)->Right, path);
                }

                if (trie.At(parent)->Kind == NodeKind.Prefix)
                {
                    return parent;
                }

                child = parent;
            }

            return 0;
        }

        /// <summary>The first prefix of a subtree in the order: left before right, a node after its children.</summary>
        private static uint Deepest(TwinTrieStorage trie, uint number, Stack<uint> path)
        {
            while (true)
            {
                var node = trie.At(number);
                var below = node->Left != 0 ? node->Left : node->Right;
                if (below == 0)
                {
                    return number;
                }

                path.Push(number);
                number = below;
            }
        }
    }
}
